import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { $ } from "zx";
import { causes } from "../../subjects/tikv/kit/causes.ts";
import { loadRunbooks } from "../agent/operators/runbook/load.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import type { SafetyMode } from "../base/safety-mode.ts";
import { PLANES, type Plane } from "../control/planes.ts";
import type { ControlSettings } from "../control/settings.ts";
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
import { keepChoices } from "./agent-choices.ts";
import { AGENT_PROJECT, agentSite } from "./agent-site.ts";
import { LEGACY_WARNING, settingsOf } from "./agent-mode.ts";
import type { CliIo } from "./io.ts";
import { withTickets } from "./open-ticket-file.ts";
import { standingInstance } from "./standing-instance.ts";
import { safetyMode } from "./trial-options.ts";

export interface UpFlags {
  readonly network: string;
  /** Undefined = as the settings say. */
  readonly composeMode?: boolean;
  readonly config?: string;
  readonly operator?: string;
  readonly safetyMode?: SafetyMode;
  readonly runbooks?: readonly string[];
  readonly json?: true;
}

/** Of `lab subject up`. */
export const NETWORK = "tikv_default";

/** `lab agent up`: in the mode of the settings; the other one's containers go first. */
export async function up(flags: UpFlags, io: CliIo): Promise<void> {
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
export async function printVariables(flags: UpFlags, io: CliIo): Promise<void> {
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
export async function down({ json }: { readonly json?: true }, io: CliIo): Promise<void> {
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

/** What a container has said, as Docker gives it. @throws HarnessError `not-found` */
export async function logs(
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
