import type { EpochMs } from "../../base/clock.ts";
import { withDeadline } from "../../base/deadline.ts";
import { errorText, HarnessError } from "../../base/errors.ts";
import type { WatchedContainer, WatchedEngine, WatchedEvent } from "../../engine/watched.ts";
import type { Deps, InstanceId } from "../../protocol.ts";
import type { NewWatchdogEvent, Tickets, WatchdogLog, WatchdogState } from "../../../tickets/index.ts";
import { TicketClock } from "../../../tickets/ticket-clock.ts";
import { decide, type Act } from "./decide.ts";
import type { Judgement, Wanted } from "./judge.ts";
import { switchMode, whyNoFallback, type LegacyParts } from "./legacy.ts";
import { forgetShutdown, NEW_MEMORY, rememberEvent, risesNow, watchMemorySchema, type WatchMemory } from "./memory.ts";
import type { OwnActs, OwnSpan } from "./own-acts.ts";
import type { WatchdogSettings } from "./settings.ts";

/** What every watch of a deployment shares. */
export interface WatchContext {
  readonly deployment: string;
  readonly engine: WatchedEngine;
  readonly log: WatchdogLog;
  readonly tickets: Pick<Tickets, "create">;
  readonly settings: WatchdogSettings;
  readonly legacy: LegacyParts | null;
  readonly deps: Pick<Deps, "clock" | "random" | "log">;
  readonly own: OwnActs;
  readonly onEvent: (component: string, event: NewWatchdogEvent) => void;
}

/** As many of its own acts does one watch remember over a restart of the watchdog. */
const KEPT_ACTS = 4;
/** Events that a ticket file could not take, kept for the next time. */
const KEPT_EVENTS = 100;

/** Programs that fail may say much. */
const MAX_REASON = 500;
/** How much of a log is read for its reason to end. */
const LOG_TAIL = 60;
/** A program that the loader refuses has said its last word before Docker notes that it was started. */
const BEFORE_START_MS = 1_000;

/** One container: what is remembered of it, and what follows from a look. */
export class TargetWatch {
  readonly component: string;
  readonly #context: WatchContext;
  readonly #time: TicketClock;
  #memory: WatchMemory = NEW_MEMORY;
  #judgement: Judgement | null = null;
  #pending: WatchedEvent[] = [];
  #unsaved: NewWatchdogEvent[] = [];
  #lastWanted: Wanted | null = null;

  constructor(component: string, context: WatchContext) {
    this.component = component;
    this.#context = context;
    this.#time = new TicketClock(context.deps.clock);
  }

  get memory(): WatchMemory {
    return this.#memory;
  }

  /** Takes over what the last watchdog knew. One that died in the middle of an act leaves it counted. */
  async load(): Promise<void> {
    const { log, deployment, deps } = this.#context;
    const found = watchMemorySchema.nullable().safeParse(await log.memory(deployment, this.component));
    if (!found.success) deps.log.warn("watchdog.memory-unreadable", { component: this.component });
    this.#memory = found.data ?? NEW_MEMORY;
    const { acting, ownActs } = this.#memory;
    const endOf = ({ from, to }: OwnSpan): EpochMs => to ?? this.#longestEnd(from);
    for (const span of ownActs) this.#context.own.add({ ...span, to: endOf(span) });
    const ended = "the watchdog ended in the middle of";
    if (this.#memory.legacySince !== null && ownActs.some(({ component, to }) => component === "agent" && to === null))
      await this.#record([
        this.#event("legacy-refused", `${ended} changing the agent's mode; it may hold the engine's socket`),
      ]);
    this.#memory = { ...this.#memory, acting: null, ownActs: ownActs.map((span) => ({ ...span, to: endOf(span) })) };
    if (acting === null) return;
    await this.#record([this.#event("attempt-failed", `${ended} its ${acting.act}; the attempt counts`)]);
  }

  note(event: WatchedEvent): void {
    this.#pending.push(event);
  }

  /** The engine went away just now. */
  engineGone(): void {
    this.#takeEvents();
    this.#memory = forgetShutdown(this.#memory, this.#now());
  }

  /** Until the next look is due at the latest. */
  dueInMs(): number {
    const { settings } = this.#context;
    const { dueAt, goodSince, badSince } = this.#memory;
    const now = this.#now();
    const until = [
      settings.intervalMs,
      ...(dueAt !== null && this.#worthAnAttempt() ? [dueAt - now] : []),
      ...(goodSince !== null && badSince !== null ? [goodSince + settings.stableMs - now] : []),
    ];
    return Math.max(0, Math.min(...until));
  }

  /** Looks once and does what follows. @throws EngineError when the engine does not answer; nothing is concluded then. */
  async look(signal: AbortSignal): Promise<void> {
    const { engine, settings, deps } = this.#context;
    this.#takeEvents();
    const container = await this.#bounded("looking", signal, (inner) => engine.inspect(this.component, inner));
    // What came meanwhile belongs to what was just seen.
    this.#takeEvents();
    const log = await this.#logOf(container, signal);
    const wanted = await this.#wanted();
    const at = this.#now();
    const decision = decide(this.#memory, { at, container, log, wanted }, settings, deps.random);
    this.#memory = decision.memory;
    this.#judgement = decision.judgement;
    await this.#record(decision.events);
    if (decision.act.kind !== "none") await this.#do(decision.act, signal);
    if (this.#memory.owes !== null) await this.#payWhatIsOwed(this.#memory.owes, signal);
    if (decision.stable && container !== null) await this.#keepImage(container, signal);
    await this.#backToCompose(decision.stable, signal);
  }

  async #do(act: Act, signal: AbortSignal): Promise<void> {
    const { engine } = this.#context;
    let failed: NewWatchdogEvent[] = [];
    try {
      await this.#asOwn(this.component, () =>
        this.#bounded(act.kind, signal, (inner) => perform(engine, this.component, act, inner)),
      );
      // Docker counts from nothing after a start by hand, and goes on counting after a pause.
      const restartCount = act.kind === "unpause" ? this.#memory.restartCount : 0;
      this.#memory = { ...this.#memory, restartCount, failedCall: false };
    } catch (error) {
      signal.throwIfAborted();
      this.#memory = { ...this.#memory, failedCall: true };
      failed = [this.#event("attempt-failed", `${act.kind} failed: ${errorText(error)}`)];
    }
    this.#memory = { ...this.#memory, acting: null, stop: null };
    await this.#record(failed);
  }

  /**
   * What the engine tells of `component` meanwhile is the watchdog's own doing; on disk before it begins, so that the
   * next watchdog knows it too.
   */
  async #asOwn(component: string, task: () => Promise<void>): Promise<void> {
    const { own, deps } = this.#context;
    const span: OwnSpan = { component, from: deps.clock.now(), to: null };
    const others = this.#memory.ownActs.slice(1 - KEPT_ACTS);
    const remember = (): void => {
      this.#memory = { ...this.#memory, ownActs: [...others, { ...span }] };
    };
    own.add(span);
    remember();
    await this.#record([]);
    try {
      await task();
      span.to = deps.clock.now();
    } catch (error) {
      // An engine goes on with what we no longer wait for.
      const late = error instanceof HarnessError && error.code === "timeout";
      span.to = late ? this.#longestEnd(deps.clock.now()) : deps.clock.now();
      throw error;
    } finally {
      remember();
    }
  }

  /** Nobody waits longer for one act that was begun then. */
  #longestEnd(from: EpochMs): EpochMs {
    return Math.max(this.#context.deps.clock.now(), from + this.#context.settings.actTimeoutMs) as EpochMs;
  }

  async #payWhatIsOwed(owes: Owed, signal: AbortSignal): Promise<void> {
    // First: people are told also where the rest goes wrong.
    if (owes.ticket && (await this.#tellPeople(owes.text))) this.#settle({ ticket: false });
    if (owes.fallback) {
      if (this.component === SIDECAR) await this.#fallBack(signal);
      this.#settle({ fallback: false });
    }
    await this.#record([]);
  }

  #settle(done: { readonly ticket: false } | { readonly fallback: false }): void {
    const { owes } = this.#memory;
    if (owes === null) return;
    const left = { ...owes, ...done };
    this.#memory = { ...this.#memory, owes: left.ticket || left.fallback ? left : null };
  }

  /** @returns false when it has to be tried again. */
  async #tellPeople(text: string): Promise<boolean> {
    const { tickets, deployment, deps } = this.#context;
    try {
      const { ticket, created } = await tickets.create({
        instance: deployment as InstanceId,
        invariant: "control-plane",
        component: this.component as never,
        severity: "critical",
        message: `the watchdog gave up on ${this.component}: it ${text}`,
        manual: true,
        context: `\`lab watchdog history ${this.component}\` tells what was tried; after the repair \`lab watchdog reset ${this.component}\``,
      });
      await this.#record([
        this.#event("state", `ticket ${ticket.id} ${created ? "tells people" : "is still open for it"}`),
      ]);
      return true;
    } catch (error) {
      deps.log.error("watchdog.no-ticket", { component: this.component, why: errorText(error) });
      return false;
    }
  }

  async #fallBack(signal: AbortSignal): Promise<void> {
    const { legacy, settings } = this.#context;
    if (this.#memory.legacySince !== null) return;
    const at = this.#now();
    const refused = await whyNoFallback(legacy, { badSince: this.#memory.badSince ?? at, at }, settings);
    if (refused !== null || legacy === null)
      return await this.#record([this.#event("legacy-refused", `the agent stays without the engine: ${refused}`)]);
    await this.#change(legacy, "legacy", `${SIDECAR} was given up`, signal);
  }

  async #keepImage({ imageId }: WatchedContainer, signal: AbortSignal): Promise<void> {
    const { engine, deps } = this.#context;
    if (imageId === this.#kept) return;
    try {
      await this.#bounded("keeping its image", signal, (inner) => engine.keepImage(this.component, imageId, inner));
      this.#kept = imageId;
    } catch (error) {
      signal.throwIfAborted();
      deps.log.warn("watchdog.image-not-kept", { component: this.component, why: errorText(error) });
    }
  }
  #kept: string | null = null;

  async #backToCompose(stable: boolean, signal: AbortSignal): Promise<void> {
    const { legacy, settings } = this.#context;
    if (this.#memory.legacySince === null || legacy === null) return;
    if (!settings.allowLegacyFallback)
      await this.#change(legacy, "compose", "the host no longer allows it (allow_legacy_fallback)", signal);
    else if (stable) await this.#change(legacy, "compose", `${SIDECAR} has been stable`, signal);
  }

  /** The agent counts as holding the socket from before it is given it until it surely has it no more. */
  async #change(legacy: LegacyParts, to: "legacy" | "compose", why: string, signal: AbortSignal): Promise<void> {
    const begun = async (): Promise<void> => {
      if (to === "legacy") this.#memory = { ...this.#memory, legacySince: this.#now() };
      await this.#record([]);
    };
    try {
      await this.#asOwn("agent", () =>
        this.#bounded(`changing to ${to} mode`, signal, (inner) => switchMode(legacy, { to, why, begun }, inner)),
      );
      if (to === "compose") this.#memory = { ...this.#memory, legacySince: null };
      await this.#record([
        to === "legacy"
          ? this.#event("legacy-fallback", `the agent now holds the engine's socket itself: ${why}`)
          : this.#event("legacy-return", `the agent is without the engine's socket again: ${why}`),
      ]);
    } catch (error) {
      signal.throwIfAborted();
      const holds = this.#memory.legacySince === null ? "" : "; it may hold the engine's socket";
      await this.#record([this.#event("legacy-refused", `changing to ${to} mode failed: ${errorText(error)}${holds}`)]);
    }
  }

  /** Only where something is wrong: a log is read over and over for nothing otherwise. */
  async #logOf(container: WatchedContainer | null, signal: AbortSignal): Promise<readonly string[]> {
    if (container === null) return [];
    const rose = risesNow(container, this.#memory) > 0;
    const ended = container.status === "exited" || container.status === "restarting";
    if (!rose && !(ended && container.exitCode !== 0)) return [];
    const begin = rose && !ended ? this.#memory.lookedAt : container.startedAt;
    const since = begin === null ? null : ((begin - BEFORE_START_MS) as EpochMs);
    return await this.#bounded("reading its log", signal, (inner) =>
      this.#context.engine.logs(this.component, { tail: LOG_TAIL, since }, inner),
    );
  }

  async #wanted(): Promise<Wanted | null> {
    const { log, deployment, deps } = this.#context;
    try {
      const said = await log.intent(deployment, this.component);
      this.#lastWanted = said === null ? null : { state: said.wanted, by: said.by, at: said.at };
    } catch (error) {
      deps.log.warn("watchdog.no-intent", { why: errorText(error) });
    }
    return this.#lastWanted;
  }

  #takeEvents(): void {
    for (const event of this.#pending)
      this.#memory = rememberEvent(this.#memory, event, this.#context.own.covers(event));
    this.#pending = [];
  }

  #worthAnAttempt(): boolean {
    const judgement = this.#judgement;
    if (judgement === null) return true;
    return (judgement.state === "unhealthy" || judgement.state === "not-found") && judgement.curable;
  }

  /** A ticket file that cannot be written stops nobody from keeping containers alive; it is said in the log. */
  async #record(events: readonly NewWatchdogEvent[]): Promise<void> {
    const { log, deployment, settings, onEvent, deps } = this.#context;
    const memory = this.#memory;
    const unsaved = [...this.#unsaved, ...events];
    this.#unsaved = [];
    try {
      await log.record(
        {
          deployment,
          component: this.component,
          state: this.#state(),
          reason: this.#judgement?.text ?? "has not been looked at yet",
          attempts: memory.attempts,
          maxAttempts: settings.maxAttempts,
          gaveUp: memory.gaveUp,
          legacy: memory.legacySince !== null,
          nextAttemptAt: this.#worthAnAttempt() ? memory.dueAt : null,
          lookedAt: memory.lookedAt ?? deps.clock.now(),
          everyMs: settings.intervalMs,
        },
        memory,
        unsaved,
      );
    } catch (error) {
      this.#unsaved = unsaved.slice(-KEPT_EVENTS);
      deps.log.error("watchdog.not-recorded", { component: this.component, why: errorText(error) });
    }
    for (const event of events) onEvent(this.component, event);
  }

  #event(kind: NewWatchdogEvent["kind"], reason: string): NewWatchdogEvent {
    const text = reason.replaceAll(/\s+/g, " ").slice(0, MAX_REASON);
    return { at: this.#now(), kind, state: this.#state(), reason: text, attempt: this.#memory.attempts };
  }

  #state(): WatchdogState {
    return this.#judgement?.state ?? "unhealthy";
  }

  /** Never back, also over a restart of the watchdog: back-offs end. */
  #now(): EpochMs {
    return this.#time.now(this.#memory.lookedAt ?? 0) as EpochMs;
  }

  #bounded<T>(what: string, signal: AbortSignal, task: (inner: AbortSignal) => Promise<T>): Promise<T> {
    const { deps, settings } = this.#context;
    return withDeadline(deps.clock, { ms: settings.actTimeoutMs, what: `${this.component}: ${what}`, signal }, task);
  }
}

type Owed = NonNullable<WatchMemory["owes"]>;

/** The component whose loss leaves the agent without hands. */
export const SIDECAR = "compose-agent";

async function perform(engine: WatchedEngine, component: string, act: Act, signal: AbortSignal): Promise<void> {
  switch (act.kind) {
    case "none":
      return;
    case "restart":
      return await engine.restart(component, signal);
    case "unpause":
      return await engine.unpause(component, signal);
    case "recreate":
      return await engine.recreate(component, signal);
    case "use-image":
      return await engine.useImage(component, act.imageId, signal);
  }
}
