import { Bell } from "../../base/bell.ts";
import type { EpochMs } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { WatchedEngine, WatchedEvent } from "../../engine/watched.ts";
import type { Deps } from "../../protocol.ts";
import type { NewWatchdogEvent, Tickets } from "../../../tickets/index.ts";
import type { LegacyParts } from "./legacy.ts";
import type { WatchdogSettings } from "./settings.ts";
import { OwnActs } from "./own-acts.ts";
import { TargetWatch, type WatchContext } from "./target-watch.ts";

export interface WatchdogOptions {
  /** Name of the deployment: its compose project. Rows of several share a ticket file. */
  readonly deployment: string;
  /** Components to watch. */
  readonly targets: readonly string[];
  readonly engine: WatchedEngine;
  readonly tickets: Pick<Tickets, "create" | "watchdog">;
  readonly settings: WatchdogSettings;
  /** Null = there is no other mode to fall back to. */
  readonly legacy: LegacyParts | null;
  readonly onEvent?: (component: string, event: NewWatchdogEvent) => void;
}

/** The row under which the watchdog tells of itself and of the engine. */
export const OWN_ROW = "watchdog";

/** Several events of one act come together; a look in their midst would see half of it. */
const SETTLE_MS = 300;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;

/**
 * Watches until the signal aborts; then resolves. Survives whatever containers, engine and ticket file do. Two at once
 * on one deployment are the caller's to prevent.
 */
export async function runWatchdog(
  options: WatchdogOptions,
  deps: Pick<Deps, "clock" | "random" | "log">,
  signal: AbortSignal,
): Promise<void> {
  const { deployment, engine, settings, legacy, tickets } = options;
  const context: WatchContext = {
    deployment,
    engine,
    log: tickets.watchdog,
    tickets,
    settings,
    legacy,
    deps,
    own: new OwnActs(),
    onEvent: options.onEvent ?? (() => {}),
  };
  const watches = options.targets.map((component) => ({
    watch: new TargetWatch(component, context),
    bell: new Bell(deps.clock),
  }));
  for (const { watch } of watches) await watch.load();
  const self = new OwnRow(context, options.targets);
  await self.say("watchdog", `watches ${options.targets.join(", ")} every ${settings.intervalMs / 1000} s`);
  const feed = followEngine(context, watches, self, signal);
  try {
    await Promise.all([
      self.beat(signal),
      ...watches.map(({ watch, bell }) => watchOne(watch, bell, self, context, signal)),
    ]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await feed;
    await self.end();
  }
}

async function watchOne(
  watch: TargetWatch,
  bell: Bell,
  self: OwnRow,
  { deps, settings }: WatchContext,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    let waitMs: number;
    try {
      await watch.look(signal);
      await self.engineAnswers();
      waitMs = watch.dueInMs();
    } catch (error) {
      signal.throwIfAborted();
      // Not knowing is no reason to act.
      await self.engineFails(errorText(error));
      waitMs = Math.min(settings.intervalMs, MAX_RETRY_MS);
      deps.log.debug("watchdog.no-look", { component: watch.component, why: errorText(error) });
    }
    await bell.wait(Math.min(SETTLE_MS, settings.intervalMs), waitMs, signal);
  }
}

/** Hands each event to its container's watch. Never throws. */
async function followEngine(
  { engine, deps }: WatchContext,
  watches: readonly { readonly watch: TargetWatch; readonly bell: Bell }[],
  self: OwnRow,
  signal: AbortSignal,
): Promise<void> {
  // As far back as the last watchdog knew: what an operator did while nobody watched counts too.
  let until = earliest(watches.map(({ watch }) => watch.memory.eventsUntil ?? watch.memory.lookedAt));
  let retryMs = FIRST_RETRY_MS;
  const hand = (event: WatchedEvent): void => {
    until = Math.max(until ?? 0, event.at) as EpochMs;
    retryMs = FIRST_RETRY_MS;
    for (const { watch, bell } of watches) {
      if (watch.component !== event.component) continue;
      watch.note(event);
      bell.ring();
    }
  };
  while (!signal.aborted) {
    let why = "its stream of events ended";
    try {
      for await (const event of engine.events(until, signal)) hand(event);
    } catch (error) {
      why = errorText(error);
    }
    if (signal.aborted) return;
    for (const { watch, bell } of watches) {
      watch.engineGone();
      bell.ring();
    }
    await self.engineFails(why);
    await deps.clock.sleep(retryMs, signal).catch(() => {});
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
  }
}

function earliest(instants: readonly (EpochMs | null)[]): EpochMs | null {
  const known = instants.filter((at) => at !== null);
  return known.length === 0 ? null : (Math.min(...known) as EpochMs);
}

/** What the watchdog says of itself and of the engine, and its heartbeat for whoever asks whether one is alive. */
class OwnRow {
  readonly #context: WatchContext;
  readonly #targets: readonly string[];
  #engineOk = true;
  #ended = false;

  constructor(context: WatchContext, targets: readonly string[]) {
    this.#context = context;
    this.#targets = targets;
  }

  async beat(signal: AbortSignal): Promise<void> {
    const { deps, settings } = this.#context;
    for (;;) {
      await deps.clock.sleep(settings.intervalMs, signal);
      await this.#record([]);
    }
  }

  async engineAnswers(): Promise<void> {
    if (this.#engineOk) return;
    this.#engineOk = true;
    await this.say("engine", "the engine answers again");
  }

  async engineFails(why: string): Promise<void> {
    if (!this.#engineOk) return;
    this.#engineOk = false;
    await this.say("engine", `the engine does not answer, nothing is concluded meanwhile: ${why}`);
  }

  /** Nobody needs to wait for the heartbeat to grow old. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.say("watchdog", "ends");
  }

  async say(kind: "watchdog" | "engine", reason: string): Promise<void> {
    const event = { at: this.#context.deps.clock.now(), kind, state: this.#state(), reason, attempt: 0 };
    await this.#record([event]);
    this.#context.onEvent(OWN_ROW, event);
  }

  #state(): "healthy" | "unhealthy" {
    return this.#engineOk ? "healthy" : "unhealthy";
  }

  async #record(events: readonly NewWatchdogEvent[]): Promise<void> {
    const { log, deployment, settings, deps } = this.#context;
    const target = {
      deployment,
      component: OWN_ROW,
      state: this.#state(),
      reason: this.#ended
        ? "has ended"
        : this.#engineOk
          ? `watches ${this.#targets.join(", ")}`
          : "the engine does not answer",
      attempts: 0,
      maxAttempts: settings.maxAttempts,
      gaveUp: false,
      legacy: false,
      nextAttemptAt: null,
      lookedAt: deps.clock.now(),
      everyMs: this.#ended ? 0 : settings.intervalMs,
    };
    await log.record(target, null, events).catch((error: unknown) => {
      deps.log.error("watchdog.not-recorded", { component: OWN_ROW, why: errorText(error) });
    });
  }
}
