import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Command, Option } from "commander";
import { z } from "zod";
import { $ } from "zx";
import { causes } from "../../subjects/tikv/kit/causes.ts";
import { AGENT_OPERATORS } from "../agent/config.ts";
import { loadRunbooks } from "../agent/operators/runbook/load.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import { SAFETY_MODES, type SafetyMode } from "../base/safety-mode.ts";
import { PLANES, type Plane } from "../control/planes.ts";
import { readSettings, type ControlSettings } from "../control/settings.ts";
import { fingerprintOf, rotateToken, tokenProvider } from "../control/tokens/index.ts";
import {
  agentVariables,
  ensureAgentImages,
  openAgentCompose,
  type AgentMode,
  type AgentSite,
} from "../engine/agent-compose.ts";
import { noEngine } from "../engine/no-engine.ts";
import { ownImages } from "../engine/own-images.ts";
import { DEFAULT_PAGE_PORT, defaultUsersFile } from "../panel/config.ts";
import { openUsers } from "../panel/users.ts";
import type { SubjectInstance } from "../protocol.ts";
import { tokensBelow } from "../trial/control.ts";
import { attach } from "./agent-attach.ts";
import { keepChoices } from "./agent-choices.ts";
import { AGENT_PROJECT, agentSite } from "./agent-site.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { ticketPath, withTickets } from "./open-ticket-file.ts";
import { standingControl } from "./standing-control.ts";
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
  readonly composeMode?: boolean;
}

interface UpFlags {
  readonly network: string;
  /** Undefined = as the settings say. */
  readonly composeMode?: boolean;
  readonly config?: string;
  readonly operator?: string;
  readonly safetyMode?: SafetyMode;
  readonly runbooks?: readonly string[];
  readonly json?: true;
}

const NETWORK = "tikv_default";

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

async function start(flags: StartFlags, io: CliIo): Promise<void> {
  const standing = standingInstance(io);
  if (standing === null)
    throw new HarnessError("not-found", "there is no cluster to work on: start one with `lab subject up tikv`");
  const compose = settingsOf(flags, io).composeAgentEnabled;
  if (compose && standing.kind === "docker")
    throw new HarnessError(
      "usage",
      "beside a cluster in containers the agent of compose mode runs in one: `lab agent up --compose-mode`",
    );
  if (standing.kind === "docker") io.err(LEGACY_WARNING);
  const person = flags.operator === "human";
  if (person && !(io.stdinIsTty && io.stdoutIsTty))
    throw new HarnessError("config-invalid", "--operator human needs a terminal: input or output is not one");
  const mode = flags.observe === true ? "observe" : (flags.safetyMode ?? safetyMode(io.env));
  io.err(MODE_NOTICE[mode]);
  if (person) io.err("waiting for an incident; Ctrl-C ends it\n");
  if (flags.operator === "external")
    io.err("waiting for an incident; then `lab mcp token` makes a token for it, and `lab mcp serve` the way to it\n");
  await using scope = new AsyncDisposableStack();
  const instance = scope.use(await openStanding(standing, io));
  const control = compose ? scope.use(await controlFor(instance, flags, mode, io)) : null;
  const settings = {
    ...instance.operatorEnvironment("host"),
    COMPOSE_AGENT_ENABLED: String(compose),
    ...control?.operator,
  };
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

async function controlFor(instance: SubjectInstance, flags: StartFlags, mode: SafetyMode, io: CliIo) {
  const variant = { name: flags.operator ?? "runbook", mode, model: null, usdCap: null, runbookDirs: [] };
  const control = await standingControl(instance, { tickets: ticketPath(io, flags.db), variant }, io);
  io.err(
    `compose mode; status panel: ${control.panel}\naudit: \`lab audit show ${control.folder}\`\n` +
      `a request by hand: ${byHand(control)} npx lab control call list\n`,
  );
  return control;
}

/** What points `lab control` at a control plane that is no deployment's of this machine. */
function byHand({
  operator,
  folder,
}: {
  readonly operator: Readonly<Record<string, string>>;
  readonly folder: string;
}) {
  const { ENGINE = "", DEPLOYMENT_HASH = "" } = operator;
  const url = ENGINE.replace(/^control:/, "");
  return `CONTROL_URL=${url} DEPLOYMENT_HASH=${DEPLOYMENT_HASH} TOKEN_DIR=${tokensBelow(folder)}`;
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

async function up(flags: UpFlags, io: CliIo): Promise<void> {
  const { network, json } = flags;
  const settings = settingsOf(flags, io);
  const mode: AgentMode = settings.composeAgentEnabled ? "compose" : "legacy";
  io.err(mode === "legacy" ? LEGACY_WARNING : "the compose-agent alone holds the Docker socket (compose mode)\n");
  const site = await siteFor(flags, settings, io);
  await requireNetwork(network, io);
  if (settings.vault === null) await ensureTokens(settings, mode === "compose" ? PLANES : ["status_panel"], io);
  const building = (tag: string): void => io.err(`building ${tag}, which takes a minute or two the first time\n`);
  const built = await ensureAgentImages(mode, io.signal, building);
  const running = await runningMode(io.signal);
  const compose = await openAgentCompose(mode, AGENT_PROJECT, site, io.signal);
  // Before they are gone, or a watchdog that runs would bring back what only compose mode has, beside the legacy agent.
  if (mode === "legacy") await tellWatchdog({ wanted: "stopped", by: "lab agent up --legacy" }, settings, io);
  // What only the other form has would stay.
  if (running !== null && running !== mode) await compose.down({}, io.signal);
  await keepChoices(mode, site, io.env);
  await compose.up({}, io.signal).catch((error: unknown) => {
    io.err("what has started goes on, `lab agent down` removes it\n");
    if (!(error instanceof HarnessError) || error.code !== "port-taken") throw error;
    const [taken] = error.message.split(":");
    throw new HarnessError("port-taken", `${taken}: PANEL_PORT=<another> moves the panel's page`, { cause: error });
  });
  for (const component of mode === "legacy" ? ["agent", "statuspanel"] : [null])
    await tellWatchdog({ component, wanted: "running", by: "lab agent up" }, settings, io);
  if (json)
    io.out(
      `${JSON.stringify({ project: AGENT_PROJECT, network, mode, image: ownImages.agent.tag, built, state: "up" })}\n`,
    );
  else io.err(`the agent runs on ${network}; see \`lab agent logs\`\n${NEXT[site.more?.["OPERATOR"] ?? ""] ?? ""}`);
  if (!json) io.err(panelHint(settings, io));
}

/** What a person does then. */
const NEXT: Readonly<Record<string, string>> = {
  human: "`lab agent attach` brings its terminal here\n",
  external: "once an incident waits: `lab mcp token`, and `lab mcp serve`\n",
};

/** @throws ConfigError for a runbook that cannot be read: the agent's container would start over and over. */
async function siteFor(
  { network, operator, safetyMode: mode, runbooks = [] }: UpFlags,
  settings: ControlSettings,
  io: CliIo,
): Promise<AgentSite> {
  const folders = runbooks.map((folder) => resolve(io.cwd, folder));
  await loadRunbooks(folders, causes);
  const site = await agentSite({ network, settings }, io);
  const OPERATOR = operator ?? (io.env["OPERATOR"] || "runbook");
  const OPERATOR_SAFETY_MODE = mode ?? safetyMode(io.env);
  return { ...site, runbooks: folders, more: { ...site.more, OPERATOR, OPERATOR_SAFETY_MODE } };
}

function panelHint({ tokenDir }: ControlSettings, io: CliIo): string {
  const page = `the panel is at http://127.0.0.1:${io.env["PANEL_PORT"] || DEFAULT_PAGE_PORT}`;
  const file = io.env["PANEL_USERS_FILE"] || defaultUsersFile(tokenDir);
  const somebody = openUsers(file).names().length > 0;
  return somebody ? `${page}\n` : `${page}; \`lab panel password <name>\` lets somebody in\n`;
}

/** The variables of the compose files, for whoever starts them by hand. */
async function printVariables(flags: UpFlags, io: CliIo): Promise<void> {
  const settings = settingsOf(flags, io);
  const site = await siteFor(flags, settings, io);
  if (settings.vault === null) await ensureTokens(settings, PLANES, io);
  await openAgentCompose("compose", AGENT_PROJECT, site, io.signal);
  const variables = await agentVariables(site);
  if (flags.json) io.out(`${JSON.stringify(variables)}\n`);
  else
    io.out(
      Object.entries(variables)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(""),
    );
}

function settingsOf(flags: Pick<UpFlags, "composeMode" | "config">, io: CliIo): ControlSettings {
  return readSettings({ env: io.env, flags: { composeMode: flags.composeMode, config: flags.config } }).settings;
}

/** A plane without a token lets nobody in; the first ones are drawn here. */
async function ensureTokens(settings: ControlSettings, planes: readonly Plane[], io: CliIo): Promise<void> {
  for (const plane of planes) {
    const provider = tokenProvider(settings, plane, io.deps);
    if ((await provider.fetch(plane, io.signal)) !== null) continue;
    const { current } = await rotateToken(provider, plane, {}, io.deps, io.signal);
    io.err(`made a token for ${plane} (${fingerprintOf(current.token)})\n`);
  }
}

/** Which of the two forms is there now; null = none. */
async function runningMode(signal: AbortSignal): Promise<AgentMode | null> {
  const services = await containers('{{.Label "com.docker.compose.service"}}', signal);
  return services.length === 0 ? null : services.includes("compose-agent") ? "compose" : "legacy";
}

async function containers(format: string, signal: AbortSignal, service?: string): Promise<readonly string[]> {
  const filters = [
    `label=com.docker.compose.project=${AGENT_PROJECT}`,
    ...(service === undefined ? [] : [`label=com.docker.compose.service=${service}`]),
  ];
  const found = await $({
    quiet: true,
    nothrow: true,
    signal,
  })`docker ps -a ${filters.flatMap((filter) => ["--filter", filter])} --format ${format}`;
  signal.throwIfAborted();
  if (found.exitCode !== 0) throw noEngine(found.stderr);
  return found.stdout.split("\n").filter((line) => line !== "");
}

/** The form that is there, or, where none is, whichever leaves least behind. */
async function down({ json }: { readonly json?: true }, io: CliIo): Promise<void> {
  const settings = settingsOf({}, io);
  const site = await agentSite({ network: NETWORK, settings }, io);
  const mode = (await runningMode(io.signal)) ?? "compose";
  // Before they are gone, or it would bring them back.
  await tellWatchdog({ wanted: "stopped", by: "lab agent down" }, settings, io);
  await (await openAgentCompose(mode, AGENT_PROJECT, site, io.signal)).down({}, io.signal);
  if (json) io.out(`${JSON.stringify({ project: AGENT_PROJECT, state: "gone" })}\n`);
  else io.err("the agent's containers are gone\n");
}

/** What people want, of all or of one, for `lab watchdog`; it need not run. */
async function tellWatchdog(
  { component = null, ...said }: { component?: string | null; wanted: "running" | "stopped"; by: string },
  { deploymentHash: deployment }: ControlSettings,
  io: CliIo,
): Promise<void> {
  const at = io.deps.clock.now();
  try {
    await withTickets(io, undefined, ({ watchdog }) => watchdog.intend({ deployment, component, ...said, at }));
  } catch (error) {
    // No reason to leave containers running, or down; but a watchdog that runs will not know.
    io.err(`warning: the watchdog was not told: ${errorText(error)}\n`);
  }
}

async function requireNetwork(network: string, io: CliIo): Promise<void> {
  const found = await $({ quiet: true, nothrow: true, signal: io.signal })`docker network inspect ${network}`;
  io.signal.throwIfAborted();
  if (found.exitCode === 0) return;
  if (/no such network|network \S+ not found/i.test(found.stderr))
    throw new HarnessError("network-missing", `there is no Docker network ${network}: ${wayOut(io)}`);
  throw noEngine(found.stderr);
}

/** The embedded cluster is no network of Docker's: `lab subject up` alone would only bring the same again. */
function wayOut(io: CliIo): string {
  const own = "`lab subject up tikv --engine docker` starts a cluster on one, --network names yours";
  return standingInstance(io)?.kind === "process"
    ? `the cluster that runs is the embedded one, whose agent is \`lab agent start\`; ${own}`
    : own;
}

async function logs(
  service: string,
  flags: { readonly follow?: true; readonly tail: string },
  io: CliIo,
): Promise<void> {
  const [id] = await containers("{{.ID}}", io.signal, service);
  if (id === undefined)
    throw new HarnessError("not-found", `the container ${service} is not there: \`lab agent up\` starts it`);
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
