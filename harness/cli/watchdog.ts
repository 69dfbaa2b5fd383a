import { join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { isoTime } from "../base/clock.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import { packageVersion } from "../base/package-version.ts";
import { plain } from "../base/plain-text.ts";
import { auditIn, controlHome, defaultStateDir, openAudit } from "../control/audit/index.ts";
import { DEFAULT_DASHBOARD_URL, keepRegistered, ownAssertions } from "../control/registration.ts";
import { readSettings, type ControlSettings } from "../control/settings.ts";
import { plainName } from "../control/settings/values.ts";
import { openTokens } from "../control/tokens/index.ts";
import {
  auditedAgentActs,
  OWN_ROW,
  runWatchdog,
  SIDECAR,
  watchdogStatus,
  type LegacyParts,
} from "../control/watchdog/index.ts";
import { openDockerWatched, publishedAddress } from "../engine/docker-watched.ts";
import { stateRoot } from "../engine/instances.ts";
import { readHolder, takeLock } from "../engine/locks.ts";
import type { NewWatchdogEvent, Tickets, WatchdogEvent, WatchdogTarget } from "../../tickets/index.ts";
import { AGENT_PROJECT } from "./agent-site.ts";
import type { CliIo } from "./io.ts";
import { ticketPath, withTickets } from "./open-ticket-file.ts";
import { watchedDeployment, type DeploymentFlags } from "./watched-deployment.ts";

interface Common {
  /** Undefined = as the settings say. */
  readonly deployment?: string;
  readonly config?: string;
  readonly db?: string;
  readonly json?: true;
}

interface RunFlags extends Common, DeploymentFlags {
  readonly targets: readonly string[];
}

/** What compose mode's file starts. Those that a deployment never had are left alone. */
const TARGETS = [SIDECAR, "agent", "statuspanel", "agent-net", "model-proxy"];

/** Where the panel listens for programs, inside. */
const AGENTS_PORT = Number(new URL(DEFAULT_DASHBOARD_URL).port);

/** `lab watchdog …`: keeps the control plane's own containers alive. Alone it watches, in the foreground. */
export function watchdogCommand(io: CliIo): Command {
  const command = new Command("watchdog").description("keep compose-agent, agent and panel alive");
  common(command.command("run", { isDefault: true }))
    .description("watch until Ctrl-C; what it knows outlives it")
    .option("--targets <components...>", "containers to watch", TARGETS)
    .option("--project <name>", "their compose project", AGENT_PROJECT)
    .option("--network <name>", "the cluster's network, as `lab agent up` was told", "tikv_default")
    .option("--compose-file <file>", "makes anew what is gone; default: the one of `lab agent up --compose-mode`")
    .option("--legacy-file <file>", "the form with the socket in the agent, for allow_legacy_fallback")
    .action((flags: RunFlags) => withTickets(io, flags.db, (tickets) => run(tickets, flags, io)));
  common(command.command("status"))
    .description("what it thinks of each container now; exit code 1 when one is not healthy, or nobody watches")
    .action((flags: Common) => withTickets(io, flags.db, (tickets) => status(tickets, flags, io)));
  common(command.command("history"))
    .description("what it decided, and why; oldest first")
    .argument("[component]", "only of this one")
    .option("--tail <count>", "only the last ones", count, 50)
    .action((component: string | undefined, flags: Common & { tail: number }) =>
      withTickets(io, flags.db, (tickets) => history(tickets, component, flags, io)),
    );
  common(command.command("reset"))
    .description("give it its attempts back after a repair, or after it gave up")
    .argument("[component]", "only this one")
    .action((component: string | undefined, flags: Common) =>
      withTickets(io, flags.db, (tickets) => reset(tickets, component, flags, io)),
    );
  return command;
}

function common(command: Command): Command {
  return command
    .option("--deployment <hash>", "whose records; default: DEPLOYMENT_HASH of the settings", name)
    .option("--config <file>", "settings; default ~/.config/operator/config.json")
    .option("--db <file>", "ticket file; default ~/.operator/tickets.db")
    .option("--json", "one JSON object per line");
}

/** As DEPLOYMENT_HASH is read: it names a file. */
function name(text: string): string {
  const read = plainName.safeParse(text);
  if (!read.success) throw new InvalidArgumentError(read.error.issues.map(({ message }) => message).join("; "));
  return read.data;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 5_000) throw new InvalidArgumentError("1 to 5000");
  return value;
}

function settingsOf({ config }: Common, io: CliIo): ControlSettings {
  const flags = config === undefined ? {} : { config: resolve(io.cwd, config) };
  return readSettings({ env: io.env, flags, defaults: { agentId: "watchdog" } }).settings;
}

const deploymentOf = (flags: Common, io: CliIo): string => flags.deployment ?? settingsOf(flags, io).deploymentHash;

async function run(tickets: Tickets, flags: RunFlags, io: CliIo): Promise<void> {
  const settings = settingsOf(flags, io);
  const deployment = deploymentOf(flags, io);
  using _only = onlyOne(deployment, io);
  await using stack = new AsyncDisposableStack();
  const { compose, modes } = watchedDeployment({ deployment, flags, settings, tickets }, io);
  const engine = stack.use(await openDockerWatched({ project: flags.project, compose }, io.deps));
  // Also where it is no longer allowed: what fell back before must come back.
  const fellBack = (await tickets.watchdog.targets(deployment)).some((target) => target.legacy);
  const legacy = settings.watchdog.allowLegacyFallback || fellBack ? await legacyParts(modes, stack, io) : null;
  io.err(`watching ${deployment}; tickets in ${ticketPath(io, flags.db)}; Ctrl-C ends it\n`);
  const onEvent = (component: string, event: NewWatchdogEvent): void =>
    io.out(flags.json === true ? `${JSON.stringify({ component, ...event })}\n` : eventLine({ component, ...event }));
  const options = { deployment, targets: flags.targets, engine, tickets, legacy, onEvent };
  await Promise.all([
    runWatchdog({ ...options, settings: settings.watchdog }, io.deps, io.signal),
    beat(tickets, { deployment, project: flags.project }, settings, io),
  ]);
}

/** Two at once would each take the other's acts for an operator's. */
function onlyOne(deployment: string, io: CliIo): Disposable {
  const root = stateRoot(io.env);
  makeFolder(root, 0o700);
  const path = join(root, `watchdog-${deployment}.lock`);
  const at = isoTime(io.deps.clock.now());
  const lock = takeLock(path, { pid: process.pid, what: "lab watchdog", since: at });
  if (lock !== null) return lock;
  const holder = readHolder(path);
  const by = holder === null ? "another process" : `pid ${holder.pid}, since ${holder.since}`;
  throw new HarnessError("already-running", `${deployment} is already watched by ${by}`);
}

async function legacyParts(modes: LegacyParts["modes"], stack: AsyncDisposableStack, io: CliIo): Promise<LegacyParts> {
  const home = controlHome(defaultStateDir(io.env));
  const own = stack.use(auditIn(home, "watchdog"));
  const audit = stack.use(await openAudit(own, io.deps));
  const agents = stack.use(auditIn(home, SIDECAR));
  return { modes, agentActs: auditedAgentActs(agents), audit };
}

/** At the panel, with its own plane's token; without one there is nobody to tell. Never throws. */
async function beat(
  tickets: Tickets,
  { deployment, project }: { readonly deployment: string; readonly project: string },
  settings: ControlSettings,
  io: CliIo,
): Promise<void> {
  try {
    await using tokens = await openTokens(settings, ["status_panel"], io.deps, io.signal);
    const who = { agentId: "watchdog", deploymentHash: settings.deploymentHash, part: "watchdog" as const };
    const said = io.env["DASHBOARD_URL"] || null;
    const url =
      said ??
      (async (signal: AbortSignal) =>
        `http://${await publishedAddress({ project, service: "statuspanel", port: AGENTS_PORT }, signal)}`);
    await keepRegistered(
      {
        url,
        ...who,
        version: packageVersion(),
        composeAgent: settings.composeAgentEnabled,
        controlPlane: "status_panel",
        features: () => ["watchdog"],
        status: () => watchdogStatus(tickets.watchdog, deployment),
        assertions: ownAssertions(who, () => tokens.current("status_panel"), io.deps),
      },
      io.deps,
      io.signal,
    );
  } catch (error) {
    if (!io.signal.aborted) io.deps.log.warn("watchdog.panel-not-told", { why: errorText(error) });
  }
}

async function status(tickets: Tickets, flags: Common, io: CliIo): Promise<void> {
  const deployment = deploymentOf(flags, io);
  const targets = await tickets.watchdog.targets(deployment);
  const now = io.deps.clock.now();
  const own = targets.find(({ component }) => component === OWN_ROW);
  const alive = own !== undefined && isAlive(own, now);
  const sees = alive && own.state === "healthy";
  const others = targets.filter(({ component }) => component !== OWN_ROW);
  if (!sees || others.some(({ state }) => state !== "healthy")) io.setExitCode(1);
  if (flags.json === true) return io.out(`${JSON.stringify({ deployment, watched: alive, targets })}\n`);
  io.out(
    alive
      ? `${deployment} is watched${sees ? "" : `, but ${own.reason}: what follows is what was seen last`}\n`
      : `nobody watches ${deployment}${own === undefined ? "" : ` since ${isoTime(own.lookedAt)}`}: \`lab watchdog\`\n`,
  );
  for (const target of others) io.out(targetLine(target));
}

/** With a little more patience than `everyMs` asks for: the machine may be busy. One that has ended says 0. */
function isAlive({ lookedAt, everyMs }: WatchdogTarget, now: number): boolean {
  return everyMs > 0 && now - lookedAt <= 3 * everyMs + 5_000;
}

function targetLine({
  component,
  state,
  reason,
  attempts,
  maxAttempts,
  gaveUp,
  legacy,
  nextAttemptAt,
}: WatchdogTarget) {
  const used = attempts === 0 ? "" : `; ${attempts} of ${maxAttempts} attempts`;
  const next = nextAttemptAt === null ? "" : `, the next not before ${isoTime(nextAttemptAt)}`;
  const end = gaveUp ? "; given up" : "";
  const mode = legacy ? "; agent in legacy mode" : "";
  return plain(`${component.padEnd(14)} ${state.padEnd(14)} ${reason}${used}${next}${end}${mode}\n`);
}

async function history(
  tickets: Tickets,
  component: string | undefined,
  flags: Common & { readonly tail: number },
  io: CliIo,
): Promise<void> {
  const filter = {
    deployment: deploymentOf(flags, io),
    limit: flags.tail,
    ...(component === undefined ? {} : { component }),
  };
  const events = await tickets.watchdog.events(filter);
  for (const event of events) io.out(flags.json === true ? `${JSON.stringify(event)}\n` : eventLine(event));
  if (events.length === 0 && flags.json !== true)
    io.err(`nothing has been decided about ${component ?? filter.deployment} yet\n`);
}

async function reset(tickets: Tickets, component: string | undefined, flags: Common, io: CliIo): Promise<void> {
  const deployment = deploymentOf(flags, io);
  const known = (await tickets.watchdog.targets(deployment)).map((target) => target.component);
  if (component !== undefined && !known.includes(component))
    throw new HarnessError(
      "not-found",
      `${deployment} has no ${component}; known: ${known.join(", ") || "nothing yet"}`,
    );
  const at = io.deps.clock.now();
  const intent = { deployment, component: component ?? null, wanted: "running" as const, at };
  await tickets.watchdog.intend({ ...intent, by: "lab watchdog reset" });
  if (flags.json === true) return io.out(`${JSON.stringify(intent)}\n`);
  io.err(`${component ?? "all of it"} has its attempts back, from the watchdog's next look on\n`);
}

type Told = Pick<WatchdogEvent, "at" | "component" | "kind" | "reason">;
const eventLine = ({ at, component, kind, reason }: Told): string =>
  plain(`${isoTime(at)} ${component.padEnd(14)} ${kind}: ${reason}\n`);
