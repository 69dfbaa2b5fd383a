import { Bell } from "../base/bell.ts";
import { errorText } from "../base/errors.ts";
import type { Deps, Engine, Invariant, Observation, SubjectInstance } from "../protocol.ts";
import { watchEngine } from "./engine-watch.ts";
import type { MonitorEvent } from "./events.ts";
import { judgeAll } from "./judge.ts";
import { sourceMissing } from "./source-missing.ts";
import { type MonitorTickets, TicketKeeper } from "./ticket-keeper.ts";
import { type Judged, type Tracks, advance, nextDueInMs } from "./track.ts";
import { ObservationWindow } from "./window.ts";

/** What is watched. An engine only makes it quicker: its events are reasons to look, never a verdict. */
export type Monitored<O extends Observation> = Pick<
  SubjectInstance<O>,
  "id" | "subject" | "timeFactor" | "invariants" | "observe"
> & { readonly engine?: Pick<Engine, "events"> };

export interface MonitorOptions<O extends Observation> {
  readonly instance: Monitored<O>;
  readonly tickets: MonitorTickets;
  readonly deps: Pick<Deps, "clock" | "ids" | "log">;
  /** Between the starts of two observations when nothing is going on. Default 750 ms times the time factor, >= 250 ms. */
  readonly intervalMs?: number;
  readonly onEvent?: (event: MonitorEvent<O>) => void;
}

/** Ends of one observation and starts of the next are at least this far apart, whatever happens. */
const MIN_PAUSE_MS = 50;
const BEAT_EVERY_MS = 2_000;

/**
 * Observes, judges and keeps the tickets until the signal aborts; then resolves. It survives whatever the subject, the
 * engine and the ticket file do: what fails is reported as an event and tried again.
 */
export async function runMonitor<O extends Observation>(
  options: MonitorOptions<O>,
  signal: AbortSignal,
): Promise<void> {
  const { instance, tickets, deps } = options;
  const { clock, log } = deps;
  const onEvent = options.onEvent ?? (() => {});
  const invariants = withGeneric(instance);
  const byName = new Map(invariants.map((invariant) => [invariant.name, invariant]));
  const intervalMs = options.intervalMs ?? Math.max(250, 750 * instance.timeFactor);
  const window = new ObservationWindow(invariants);
  const bell = new Bell(clock);
  const keeper = new TicketKeeper({
    instance: instance.id,
    tickets,
    log,
    clearMsOf: (name) => byName.get(name)?.clearMs ?? null,
    onEvent,
  });
  const pulse = new Pulse(tickets, {
    instance: instance.id,
    subject: instance.subject,
    monitor: `monitor-${deps.ids.hex(8)}`,
    everyMs: BEAT_EVERY_MS,
    invariants: [...byName.keys()],
  });
  const watching =
    instance.engine === undefined
      ? Promise.resolve()
      : watchEngine(
          instance.engine,
          {
            event: (event) => {
              onEvent({ type: "engine-event", event });
              bell.ring();
            },
            gap: (why) => {
              onEvent({ type: "problem", text: `engine events interrupted: ${why}` });
              bell.ring();
            },
          },
          deps,
          signal,
        );

  let tracks: Tracks = new Map();
  try {
    while (!signal.aborted) {
      const startedMs = clock.monotonic();
      await pulse.beat(startedMs, onEvent);
      const seen = await observe(instance, invariants, window, onEvent, signal);
      if (seen !== null) {
        tracks = advance(tracks, seen.judged, seen.observation.monotonicMs);
        onEvent({ type: "observation", ...seen });
        await keeper.sync(tracks, seen.observation.monotonicMs);
      }
      const spentMs = clock.monotonic() - startedMs;
      const dueInMs = nextDueInMs(tracks, (name) => byName.get(name)?.graceMs ?? 0, clock.monotonic());
      await bell.wait(MIN_PAUSE_MS, Math.min(intervalMs - spentMs, dueInMs ?? Infinity), signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await watching;
    await pulse.end();
  }
}

/** One look without tickets: what `--once` prints. */
export async function judgeOnce<O extends Observation>(
  instance: Monitored<O>,
  signal: AbortSignal,
): Promise<{ readonly observation: O; readonly judged: readonly Judged[] }> {
  const invariants = withGeneric(instance);
  const window = new ObservationWindow(invariants);
  const observation = await instance.observe(signal);
  window.add(observation);
  return { observation, judged: judgeAll(invariants, window) };
}

function withGeneric<O extends Observation>(instance: Monitored<O>): readonly Invariant<O>[] {
  return [...instance.invariants, sourceMissing(instance.timeFactor)];
}

async function observe<O extends Observation>(
  instance: Monitored<O>,
  invariants: readonly Invariant<O>[],
  window: ObservationWindow<O>,
  onEvent: (event: MonitorEvent<O>) => void,
  signal: AbortSignal,
): Promise<{ readonly observation: O; readonly judged: readonly Judged[] } | null> {
  try {
    const observation = await instance.observe(signal);
    window.add(observation);
    return { observation, judged: judgeAll(invariants, window) };
  } catch (error) {
    signal.throwIfAborted();
    onEvent({ type: "problem", text: `no observation: ${errorText(error)}` });
    return null;
  }
}

/** Tells the ticket file that somebody verifies. Its failures are the keeper's to report. */
class Pulse {
  readonly #tickets: MonitorTickets;
  readonly #beat: Parameters<MonitorTickets["beat"]>[0];
  #lastMs = -Infinity;

  constructor(tickets: MonitorTickets, beat: Parameters<MonitorTickets["beat"]>[0]) {
    this.#tickets = tickets;
    this.#beat = beat;
  }

  async beat(nowMs: number, onEvent: (event: MonitorEvent<never>) => void): Promise<void> {
    if (nowMs - this.#lastMs < this.#beat.everyMs) return;
    this.#lastMs = nowMs;
    try {
      await this.#tickets.beat(this.#beat);
    } catch (error) {
      onEvent({ type: "problem", text: `tickets: ${errorText(error)}` });
    }
  }

  /** At the end, best effort: a heartbeat that stays behind grows old by itself. */
  async end(): Promise<void> {
    await this.#tickets.endBeat(this.#beat.monitor).catch(() => {});
  }
}
