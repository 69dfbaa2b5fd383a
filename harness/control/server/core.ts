import { join } from "node:path";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { errorText, HarnessError } from "../../base/errors.ts";
import { isoTime } from "../../base/clock.ts";
import { makeFolder } from "../../base/make-folder.ts";
import { readHolder, takeLock } from "../../engine/locks.ts";
import { watchTickets } from "../../../tickets/index.ts";
import { CommandQueue } from "../queue/command-queue.ts";
import { WorkerSlots } from "../queue/worker-slots.ts";
import { CommandCounts } from "./command-counts.ts";
import { CommandRunner, type RunnerParts } from "./command-runner.ts";
import { Epoch } from "./epoch.ts";
import { EventHub } from "./event-hub.ts";
import { Gate } from "./gate.ts";
import { ControlMetrics } from "./metrics.ts";
import type { ControlServerDeps, ControlServerOptions, ServerLimits } from "./options.ts";
import { Pollers } from "./pollers.ts";
import { Probe } from "./probe.ts";
import { QueuedCommands } from "./queued-commands.ts";

export const DEFAULT_LIMITS: ServerLimits = {
  bodyBytes: 256 * 1024,
  requestsPerSecond: 100,
  burst: 400,
  waitMs: 60_000,
  openRequests: 128,
  queued: 1_000,
};
const DEFAULT_WORKERS = { min: 2, max: 16 };
/** What runs when the server ends may still end by itself. */
const LAST_MS = 5_000;

/** Everything behind the endpoints. */
export interface ServerCore extends AsyncDisposable {
  readonly options: ControlServerOptions;
  readonly deps: ControlServerDeps;
  readonly limits: ServerLimits;
  readonly serverId: string;
  readonly epoch: Epoch;
  readonly gate: Gate;
  readonly runner: CommandRunner;
  readonly parts: RunnerParts;
  readonly queued: QueuedCommands;
  readonly pollers: Pollers;
  readonly counts: CommandCounts;
  readonly metrics: ControlMetrics;
  readonly hub: EventHub;
  readonly probe: Probe;
  /** Aborts when the server begins to end: long polls and streams end with it. */
  readonly ending: AbortSignal;
}

/**
 * Opens queue and watchers, and ends what an earlier start left in its middle.
 * @throws HarnessError `already-running` when another server has the folder, `config-invalid` for a plane without token.
 */
export async function openCore(
  options: ControlServerOptions,
  deps: ControlServerDeps,
  signal: AbortSignal,
): Promise<ServerCore> {
  makeFolder(options.stateDir, 0o700);
  const lock = claim(options.stateDir, deps);
  const [ending, life] = [new AbortController(), new AbortController()];
  const queue = openQueue(options.stateDir, deps, lock);
  const epoch = new Epoch(deps);
  const serverId = idOf(options.stateDir, deps);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const metrics = new ControlMetrics();
  const counts = new CommandCounts(deps.clock);
  const hub = new EventHub(epoch.current, deps.clock);
  const slots = new WorkerSlots(options.workers ?? DEFAULT_WORKERS);
  const parts: RunnerParts = {
    ...options,
    queue,
    slots,
    counts,
    metrics,
    hub,
    worker: epoch.current,
    executedBy: options.workers === null ? "status_panel" : "compose_agent",
    life: life.signal,
  };
  const runner = new CommandRunner(parts, deps);
  const queued = new QueuedCommands(runner, { workers: options.workers !== null, most: limits.queued }, deps);
  const core: ServerCore = {
    options,
    deps,
    limits,
    serverId,
    epoch,
    gate: new Gate({ tokens: options.tokens, epoch, serverId, limits, metrics }, deps),
    runner,
    parts,
    queued,
    pollers: new Pollers(runner, queued, deps.clock),
    counts,
    metrics,
    hub,
    probe: new Probe(options, deps, life.signal),
    ending: ending.signal,
    async [Symbol.asyncDispose]() {
      ending.abort(new HarnessError("interrupted", "the server ends"));
      await settled([...runner.going, ...queued.busy], core);
      life.abort(new HarnessError("interrupted", "the server ended in its middle"));
      await Promise.allSettled([...runner.going, ...queued.busy, ...watchers]);
      queue[Symbol.dispose]();
      lock[Symbol.dispose]();
    },
  };
  metrics.watch({
    tokens: options.tokens,
    tickets: options.tickets,
    deploymentHash: options.deploymentHash,
    queue: () => queued.depth(),
    slots: () => slots.counts(queued.depth().server),
  });
  const watchers = [watchEngine(core), watchFile(core)];
  signal.throwIfAborted();
  await queued.recover();
  return core;
}

async function settled(running: readonly Promise<unknown>[], { deps }: Pick<ServerCore, "deps">): Promise<void> {
  const done = new AbortController();
  const all = Promise.allSettled(running).then(() => done.abort());
  await Promise.race([all, deps.clock.sleep(LAST_MS, done.signal).catch(() => {})]);
}

/** Events of containers for who watches; an engine that is gone is asked again. */
async function watchEngine({ options, hub, ending, deps }: ServerCore): Promise<void> {
  while (!ending.aborted) {
    try {
      for await (const event of options.engine.events(ending)) hub.publish("engine", event);
    } catch (error) {
      deps.log.debug("control.engine-events-ended", { why: errorText(error) });
    }
    await deps.clock.sleep(1_000, ending).catch(() => {});
  }
}

async function watchFile({ options, hub, ending, deps }: ServerCore): Promise<void> {
  if (options.tickets === null) return;
  const watching = { clock: deps.clock, log: deps.log, signal: ending };
  try {
    for await (const what of watchTickets(options.tickets.path, watching))
      if (what === "change") hub.publish("tickets", { at: deps.clock.now() });
  } catch (error) {
    if (!ending.aborted) deps.log.warn("control.tickets-not-watched", { why: errorText(error) });
  }
}

function claim(folder: string, { clock }: ControlServerDeps): Disposable {
  const path = join(folder, "server.lock");
  const lock = takeLock(path, { pid: process.pid, what: "control server", since: isoTime(clock.now()) });
  if (lock !== null) return lock;
  const holder = readHolder(path);
  throw new HarnessError(
    "already-running",
    `another control server has ${folder}${holder === null ? "" : ` (pid ${holder.pid})`}`,
  );
}

function openQueue(folder: string, { clock }: ControlServerDeps, lock: Disposable): CommandQueue {
  try {
    return new CommandQueue(folder, () => clock.now());
  } catch (cause) {
    lock[Symbol.dispose]();
    throw new HarnessError("store-failed", `the queue in ${folder} cannot be opened: ${errorText(cause)}`, { cause });
  }
}

/** Who this server is, over its restarts: drawn once. */
function idOf(folder: string, { ids }: ControlServerDeps): string {
  const path = join(folder, "server-id");
  if (existsSync(path)) {
    const known = readFileSync(path, "utf8").trim();
    if (/^[0-9a-f]{16}$/.test(known)) return known;
  }
  const fresh = ids.hex(8);
  writeFileSync(path, `${fresh}\n`, { mode: 0o600 });
  return fresh;
}
