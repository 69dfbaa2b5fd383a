import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { HarnessError } from "../base/errors.ts";
import { defaultStateDir } from "../control/audit/index.ts";
import { controlClient, type ControlClient } from "../control/client/index.ts";
import {
  COMMANDS,
  commandSpec,
  DEFAULT_PORT,
  isCommand,
  type CommandName,
  type CommandReport,
  type Fence,
} from "../control/contract.ts";
import { PLANES, type Plane } from "../control/planes.ts";
import { readSettings } from "../control/settings.ts";
import { openTokens } from "../control/tokens/index.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";

interface Where {
  readonly url?: string;
  readonly socket?: string;
  readonly plane?: Plane;
  readonly config?: string;
  readonly json?: true;
}

interface CallFlags extends Where {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly reason?: string;
  readonly key?: string;
  readonly incident?: string;
  readonly holder?: string;
  readonly attempt?: number;
  readonly enqueue?: true;
}

const DEFAULT_URL = `http://127.0.0.1:${DEFAULT_PORT}`;

/** `lab control …`: signed requests to a compose-agent by hand, with the token that the settings name. */
export function controlCommand(io: CliIo): Command {
  const command = new Command("control").description("the compose-agent's API, one signed request at a time");
  withWhere(
    command
      .command("call")
      .argument("<command>", "e.g. list, inspect, restart")
      .argument("[target]", "component, or ticket"),
  )
    .description("run one command and print what came of it")
    .option("--params <json>", "further parameters, e.g. '{\"grace_ms\":1000}'", json)
    .option("--reason <text>", "for the audit")
    .option("--key <text>", "idempotency key: the same key and command get the first answer again")
    .option("--incident <key>", "agent's plane: the incident that a write is for")
    .option("--holder <name>", "agent's plane: who holds it")
    .option("--attempt <number>", "agent's plane: which attempt", whole)
    .option("--enqueue", "leave it to the queue; `lab control command <id>` says what became of it")
    .addHelpText("after", () => `\nCommands:\n${commandsText()}`)
    .action((name: string, target: string | undefined, flags: CallFlags) => call(name, target, flags, io));
  withWhere(command.command("command").argument("<id>", "command id"))
    .description("what became of a command")
    .action((id: string, flags: Where) =>
      asked(flags, io, async (client) => show(await client.command(id, io.signal), flags, io)),
    );
  for (const [name, description] of [
    ["health", "how the server is, by part"],
    ["capabilities", "what works now"],
  ] as const)
    withWhere(command.command(name))
      .description(description)
      .action((flags: Where) => asked(flags, io, async (client) => io.out(pretty(await client[name](io.signal)))));
  withWhere(command.command("metrics"))
    .description("Prometheus text")
    .action((flags: Where) => asked(flags, io, async (client) => io.out(await client.metrics(io.signal))));
  withWhere(command.command("get").argument("<target>", "path and query, e.g. /api/v1/tickets?limit=5"))
    .description("any signed GET of the API")
    .action((target: string, flags: Where) =>
      asked(flags, io, async (client) => io.out(pretty(await client.get(target, io.signal)))),
    );
  return command;
}

function withWhere(command: Command): Command {
  return command
    .option("--url <url>", `where it listens; CONTROL_URL, else ${DEFAULT_URL}`)
    .option("--socket <path>", "its Unix socket instead; CONTROL_SOCKET")
    .addOption(new Option("--plane <plane>", "whose token signs; default: CONTROL_PLANE").choices([...PLANES]))
    .option("--config <file>", "settings of the control plane")
    .option("--json", "the whole answer as JSON");
}

async function call(name: string, target: string | undefined, flags: CallFlags, io: CliIo): Promise<void> {
  if (!isCommand(name))
    throw new HarnessError("usage", `no command "${name}"; there are ${Object.keys(COMMANDS).join(", ")}`);
  const own =
    target === undefined ? {} : name.startsWith("ticket_") ? { ticket: whole(target) } : { component: target };
  const params = { ...own, ...flags.params };
  const wrong = commandSpec(name).params.safeParse(params).error?.issues[0];
  if (wrong !== undefined)
    throw new HarnessError(
      "usage",
      `${[name, ...wrong.path].join(" ")}: ${wrong.message}; usage: lab control call ${usageOf(name)}`,
    );
  const { reason, key } = flags;
  const options = {
    fence: fenceOf(flags),
    ...(reason === undefined ? {} : { reason }),
    ...(key === undefined ? {} : { idempotencyKey: key }),
  };
  await asked(flags, io, async (client) => {
    if (flags.enqueue) return io.out(`${await client.enqueue(name, params, options, io.signal)}\n`);
    show(await client.execute(name, params, options, io.signal), flags, io);
  });
}

/** @throws HarnessError `usage` for a part of it: a write would be refused, and its reader not know why. */
function fenceOf({ incident, holder, attempt }: CallFlags): Fence | null {
  if (incident === undefined && holder === undefined && attempt === undefined) return null;
  if (incident === undefined || holder === undefined || attempt === undefined)
    throw new HarnessError("usage", "--incident, --holder and --attempt go together");
  return { incident, holder, attempt };
}

async function asked(flags: Where, io: CliIo, run: (client: ControlClient) => Promise<void>): Promise<void> {
  const { settings } = readSettings({ env: io.env, flags: { config: flags.config }, defaults: { agentId: "lab" } });
  const plane = flags.plane ?? settings.controlPlane;
  const socketPath = socketOf(flags, io.env);
  await using tokens = await openTokens(settings, [plane], io.deps, io.signal);
  await using client = controlClient(
    {
      ...(socketPath === undefined ? { url: flags.url ?? (io.env["CONTROL_URL"] || DEFAULT_URL) } : { socketPath }),
      plane,
      agentId: settings.agentId,
      deploymentHash: settings.deploymentHash,
      token: () => tokens.current(plane),
      refreshToken: (signal) => tokens.refresh(plane, signal),
      patienceMs: 0,
    },
    io.deps,
  );
  await run(client);
}

/** The one that was named, else that of the deployment on this machine, whose port is published nowhere. */
function socketOf({ socket, url }: Where, env: CliIo["env"]): string | undefined {
  if (socket !== undefined || url !== undefined) return socket;
  if (env["CONTROL_SOCKET"]) return env["CONTROL_SOCKET"];
  const standing = join(defaultStateDir(env), "control.sock");
  return !env["CONTROL_URL"] && existsSync(standing) ? standing : undefined;
}

/** Exit 0 = done, 8 = failed, 1 = not over yet, or nobody can say. */
function show(report: CommandReport, { json: asJson }: Where, io: CliIo): void {
  if (asJson) io.out(pretty(report));
  else {
    const { result, error } = report;
    if (result !== null)
      io.out(result.stdout === "" && report.status === "success" ? `${report.status}\n` : result.stdout);
    else io.out(`${report.status}\n`);
    if (result?.stderr) io.err(result.stderr);
    if (error !== null) io.err(`${report.status}: ${error}\n`);
  }
  if (report.status !== "success") io.setExitCode(report.status === "failed" ? EXIT.failed : EXIT.notPassed);
}

function commandsText(): string {
  return Object.entries(COMMANDS)
    .map(([name, { summary }]) => `  ${usageOf(name as CommandName)}\n      ${summary}\n`)
    .join("");
}

/** E.g. `stop <component> [--params '{"grace_ms":…}']`. */
function usageOf(name: CommandName): string {
  const { properties = {}, required = [] } = z.toJSONSchema(commandSpec(name).params, { io: "input" });
  const { component, ticket, ...others } = properties;
  const target = component === undefined ? (ticket === undefined ? "" : " <ticket>") : " <component>";
  const keys = Object.keys(others).map((key) => `"${key}":…`);
  if (keys.length === 0) return `${name}${target}`;
  const params = `--params '{${keys.join(",")}}'`;
  return `${name}${target} ${Object.keys(others).some((key) => required.includes(key)) ? params : `[${params}]`}`;
}

const pretty = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function json(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError("must be a JSON object");
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("must be a whole number");
  return value;
}
