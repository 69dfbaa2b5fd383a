import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { dirname, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Command, Option } from "commander";
import { z } from "zod";
import { $ } from "zx";
import { AGENT_OPERATORS } from "../agent/config.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import { SAFETY_MODES, type SafetyMode } from "../base/safety-mode.ts";
import { openCompose, type Compose } from "../engine/compose.ts";
import { ensureImage } from "../engine/images.ts";
import { noEngine } from "../engine/no-engine.ts";
import { ownImages } from "../engine/own-images.ts";
import { attachedId } from "./attached-id.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { ticketPath } from "./open-ticket-file.ts";
import { openStanding, standingInstance } from "./standing-instance.ts";
import { safetyMode } from "./trial-options.ts";

interface StartFlags {
  readonly db?: string;
  readonly operator?: string;
  readonly model?: string;
  readonly maxUsd?: string;
  readonly observe?: true;
  readonly safetyMode?: SafetyMode;
  readonly runbooks?: readonly string[];
  readonly once?: true;
}

const COMPOSE_FILE = resolve(import.meta.dirname, "../../docker/agent/docker-compose.legacy.yml");
const PROJECT = "operator-agent";
const NETWORK = "tikv_default";
const SOCKET = "/var/run/docker.sock";

/** This deployment gives the operator the whole engine, and people are told so every time. */
export const LEGACY_WARNING =
  "warning: the agent holds the Docker socket itself (legacy mode); whoever controls it controls this machine's engine\n";

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
    .action((flags: StartFlags) => start(flags, io));
  command
    .command("up")
    .description("in its container on the network tikv_default; rebuilds when sources changed")
    .option("--network <name>", "another network", NETWORK)
    .option("--json", "machine-readable")
    .action((flags: { network: string; json?: true }) => up(flags, io));
  command
    .command("down")
    .description("stops and removes the container; tickets stay")
    .option("--json", "machine-readable")
    .action(async ({ json }: { json?: true }) => {
      await (await compose(NETWORK, io)).down({}, io.signal);
      if (json) io.out(`${JSON.stringify({ project: PROJECT, state: "gone" })}\n`);
      else io.err("the agent's container is gone\n");
    });
  command
    .command("logs")
    .description("what the container has said: JSON lines")
    .option("-f, --follow", "go on until Ctrl-C")
    .option("--tail <lines>", "only the last ones", "200")
    .action((flags: { follow?: true; tail: string }) => logs(flags, io));
  return command;
}

async function start(flags: StartFlags, io: CliIo): Promise<void> {
  const standing = standingInstance(io);
  if (standing === null)
    throw new HarnessError("not-found", "there is no cluster to work on: start one with `lab subject up tikv`");
  if (standing.kind === "docker") io.err(LEGACY_WARNING);
  const person = flags.operator === "human";
  if (person && !(io.stdinIsTty && io.stdoutIsTty))
    throw new HarnessError("config-invalid", "--operator human needs a terminal: input or output is not one");
  const mode = flags.observe === true ? "observe" : (flags.safetyMode ?? safetyMode(io.env));
  io.err(MODE_NOTICE[mode]);
  if (person) io.err("waiting for an incident; Ctrl-C ends it\n");
  if (flags.operator === "external")
    io.err("waiting for an incident; then `lab mcp token` makes a token for it, and `lab mcp serve` the way to it\n");
  const instance = await openStanding(standing, io);
  let settings: Readonly<Record<string, string>>;
  try {
    settings = instance.operatorEnvironment("host");
  } finally {
    await instance[Symbol.asyncDispose]();
  }
  const program = resolve(import.meta.dirname, `../agent/main${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`);
  const child = spawn(process.execPath, [program, ticketPath(io, flags.db), ...programFlags(flags, io.cwd)], {
    env: { ...definedOf(io.env), ...settings, INSTANCE_ID: standing.id },
    stdio: person ? ["inherit", "inherit", "pipe"] : ["ignore", "inherit", "inherit"],
    // Ctrl-C on the terminal reaches us; we tell the agent, so that it ends its session once and in order.
    detached: true,
  });
  // JSON lines would fall between the person's; the record has everything, and this what went wrong.
  if (child.stderr !== null) void sayFailures(child.stderr, io);
  const stop = () => child.kill("SIGTERM");
  io.signal.addEventListener("abort", stop, { once: true });
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0 && !io.signal.aborted) io.setExitCode(code ?? EXIT.internal);
  } finally {
    io.signal.removeEventListener("abort", stop);
  }
}

function programFlags(flags: StartFlags, cwd: string): readonly string[] {
  return [
    ...(flags.operator === undefined ? [] : ["--operator", flags.operator]),
    ...(flags.model === undefined ? [] : ["--model", flags.model]),
    ...(flags.maxUsd === undefined ? [] : ["--max-usd", flags.maxUsd]),
    ...safetyFlags(flags),
    ...(flags.runbooks === undefined
      ? []
      : ["--runbooks", flags.runbooks.map((folder) => resolve(cwd, folder)).join(":")]),
    ...(flags.once === undefined ? [] : ["--once"]),
  ];
}

const MODE_NOTICE: Readonly<Record<SafetyMode, string>> = {
  observe: "observe mode: nothing will be changed\n",
  propose: "propose mode: each change waits for a person; `lab approve list` shows what does\n",
  execute: "execute mode: it may change the cluster\n",
};

function safetyFlags({ observe, safetyMode: mode }: StartFlags): readonly string[] {
  if (observe === true) return ["--safety-mode", "observe"];
  return mode === undefined ? [] : ["--safety-mode", mode];
}

async function sayFailures(log: Readable, io: CliIo): Promise<void> {
  for await (const line of createInterface({ input: log })) {
    const failed = failure.safeParse(jsonOf(line));
    if (failed.success) io.err(`${failed.data.event}: ${failed.data.why ?? failed.data.reason ?? "no reason given"}\n`);
  }
}

const failure = z.object({
  level: z.literal("error"),
  event: z.string(),
  why: z.string().optional(),
  reason: z.string().optional(),
});

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

async function up({ network, json }: { readonly network: string; readonly json?: true }, io: CliIo): Promise<void> {
  io.err(LEGACY_WARNING);
  // Before compose can: it would make the folder as root, and readable by everyone.
  const folder = dirname(ticketPath(io, undefined));
  try {
    makeFolder(folder, 0o700);
  } catch (error) {
    throw new HarnessError("store-failed", `cannot make ${folder}: ${errorText(error)}`, { cause: error });
  }
  const { uid } = await stat(folder);
  if (uid !== userInfo().uid)
    throw new HarnessError(
      "store-failed",
      `${folder} belongs to another user (uid ${uid}): sudo chown -R $(id -u) ${folder}`,
    );
  await requireNetwork(network, io);
  const { tag: image } = ownImages.agent;
  const built = await ensureImage(ownImages.agent, io.signal);
  if (built) io.err(`built ${image}\n`);
  await (await compose(network, io)).up({}, io.signal);
  if (json) io.out(`${JSON.stringify({ project: PROJECT, network, image, built, state: "up" })}\n`);
  else io.err(`the agent runs on ${network}; see \`lab agent logs\`\n`);
}

async function requireNetwork(network: string, io: CliIo): Promise<void> {
  const found = await $({ quiet: true, nothrow: true, signal: io.signal })`docker network inspect ${network}`;
  io.signal.throwIfAborted();
  if (found.exitCode === 0) return;
  if (/no such network|not found/i.test(found.stderr))
    throw new HarnessError("network-missing", `${network} not found: run \`lab subject up tikv\``);
  throw noEngine(found.stderr);
}

async function compose(network: string, io: CliIo): Promise<Compose> {
  const standing = standingInstance(io);
  const { uid, gid } = userInfo();
  const onDocker = standing?.kind === "docker" && standing.network === network ? standing : null;
  const project = onDocker?.project ?? network.replace(/_default$/, "");
  const env = {
    HOME: io.env["HOME"] ?? homedir(),
    AGENT_IMAGE: ownImages.agent.tag,
    HOST_UID: String(uid),
    HOST_GID: String(gid),
    DOCKER_GID: await socketGroup(),
    TIKV_NETWORK: network,
    SUBJECT_PROJECT: project,
    // Of the monitor that watches the same cluster: `lab monitor run`, there with --attach.
    INSTANCE_ID: onDocker?.id ?? (io.env["INSTANCE_ID"] || attachedId(project)),
  };
  return await openCompose({ file: COMPOSE_FILE, project: PROJECT, env }, io.signal);
}

/** Who may use the engine's socket; 0 where it cannot be told. */
async function socketGroup(): Promise<string> {
  try {
    return String((await stat(SOCKET)).gid);
  } catch {
    return "0";
  }
}

async function logs(flags: { readonly follow?: true; readonly tail: string }, io: CliIo): Promise<void> {
  const found = await $({
    quiet: true,
    nothrow: true,
  })`docker ps -aq --filter label=com.docker.compose.project=${PROJECT}`;
  const id = found.stdout.trim().split("\n")[0] ?? "";
  if (found.exitCode !== 0) throw noEngine(found.stderr);
  if (id === "") throw new HarnessError("not-found", "the agent's container is not there: `lab agent up` starts it");
  const follow = flags.follow === true ? ["--follow"] : [];
  const child = spawn("docker", ["logs", "--tail", flags.tail, ...follow, id], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const stop = () => child.kill("SIGTERM");
  io.signal.addEventListener("abort", stop, { once: true });
  await once(child, "close");
  io.signal.removeEventListener("abort", stop);
}

function definedOf(env: CliIo["env"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
