import { Command, Option } from "commander";
import { AGENT_OPERATORS } from "../agent/config.ts";
import { SAFETY_MODES } from "../base/safety-mode.ts";
import { attach } from "./agent-attach.ts";
import { down, logs, NETWORK, printVariables, up, type UpFlags } from "./agent-containers.ts";
import { start, type StartFlags } from "./agent-start.ts";
import type { CliIo } from "./io.ts";

/** `lab agent …`: the operator's program, here or in its container. */
export function agentCommand(io: CliIo): Command {
  const command = new Command("agent").description("the operator's program");
  command
    .command("start")
    .description("in the foreground, on the cluster of `lab subject up tikv`, until Ctrl-C")
    .option("--db <file>", "ticket file; default ~/.operator/tickets.db")
    .addOption(new Option("--operator <name>", "default: runbook").choices(AGENT_OPERATORS))
    .option("--model <id>", "with --operator claude")
    .option("--max-usd <amount>", "with --operator claude: stop an incident at this cost; default 2")
    .option("--observe", "look and diagnose, change nothing")
    .addOption(
      new Option("--safety-mode <mode>", "propose: each change waits for a person (`lab approve list`)").choices(
        SAFETY_MODES,
      ),
    )
    .option("--runbooks <folder...>", "runbooks of yours, beside the kit's")
    .option("--once", "end after the first incident")
    .option("--compose-mode", "it has no engine: a compose-agent beside the embedded cluster acts for it")
    .option("--no-compose-mode", "it holds the engine itself")
    .action((flags: StartFlags) => start(flags, io));
  upOptions(command.command("up"))
    .description("in containers on the network tikv_default; rebuilds when sources changed")
    .option("--compose-mode", "the compose-agent alone holds the engine's socket")
    .option("--no-compose-mode", "the agent holds the engine's socket itself")
    .addOption(new Option("--legacy", "the same").conflicts("composeMode"))
    .action((flags: UpFlags & { legacy?: true }) => up(flags.legacy ? { ...flags, composeMode: false } : flags, io));
  upOptions(command.command("env"))
    .description("the variables that docker/agent/docker-compose.yml needs, made ready, for starting it by hand")
    .action((flags: UpFlags) => printVariables(flags, io));
  command
    .command("attach")
    .description("this terminal becomes that of the operator `human` in its container; Ctrl-C leaves, and ends nothing")
    .option("--db <file>", "ticket file; default ~/.operator/tickets.db, and those of `lab run` on this machine")
    .action((flags: { db?: string }) => attach(flags, io));
  command
    .command("down")
    .description("stops and removes the containers; tickets, tokens and audit stay")
    .option("--json", "machine-readable")
    .action((flags: { json?: true }) => down(flags, io));
  command
    .command("logs")
    .description("what a container has said: JSON lines")
    .argument("[component]", "compose-agent, statuspanel, model-proxy or agent-net", "agent")
    .option("-f, --follow", "go on until Ctrl-C")
    .option("--tail <lines>", "only the last ones", "200")
    .action((service: string, flags: { follow?: true; tail: string }) => logs(service, flags, io));
  return command;
}

function upOptions(command: Command): Command {
  return command
    .option("--network <name>", "another network", NETWORK)
    .addOption(new Option("--operator <name>", "default: OPERATOR, else runbook").choices(AGENT_OPERATORS))
    .addOption(new Option("--safety-mode <mode>", "default: OPERATOR_SAFETY_MODE, else execute").choices(SAFETY_MODES))
    .option("--runbooks <folder...>", "runbooks of yours, beside the kit's; copied")
    .option("--config <file>", "settings; default ~/.config/operator/config.json")
    .option("--json", "machine-readable");
}
