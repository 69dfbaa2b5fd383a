import { z } from "zod";
import type { EpochMs } from "../../base/clock.ts";
import type { WatchedContainer, WatchedEvent } from "../../engine/watched.ts";

const instant = z.number().transform((ms) => ms as EpochMs);

/** All that a watchdog must still know after it was killed and started again. Kept in the ticket file as JSON. */
export const watchMemorySchema = z.strictObject({
  version: z.literal(1),
  /** Of this episode: from the first bad look until it has been well for the stable period. */
  attempts: z.number().int().min(0),
  gaveUp: z.boolean(),
  /** Not before this is the next attempt made; null = nothing is due. */
  dueAt: instant.nullable(),
  badSince: instant.nullable(),
  /** Well without a break since then. */
  goodSince: instant.nullable(),
  lookedAt: instant.nullable(),
  containerId: z.string().nullable(),
  /** Of the last run that was seen. */
  startedAt: instant.nullable(),
  restartCount: z.number().int(),
  /** Restarts by the engine's policy that were seen in this episode, and when the last one was. */
  rises: z.number().int(),
  riseAt: instant.nullable(),
  /** When the kernel last killed a process of it for want of memory. */
  oomAt: instant.nullable(),
  /** Last time that it was seen running; null = never. */
  seenRunning: instant.nullable(),
  /** A stop or kill by somebody else, as long as nobody has started it again. */
  stop: z.strictObject({ kind: z.enum(["stop", "kill"]), at: instant }).nullable(),
  /** The image of the last stable period. */
  goodImage: z.string().nullable(),
  /** The image that was gone back to in this episode. */
  triedImage: z.string().nullable(),
  /** Written before an act: whoever finds it did not live to see the end of it. */
  acting: z.strictObject({ act: z.string(), at: instant }).nullable(),
  /** The last act failed as a call: what it asked for may need more than a restart. */
  failedCall: z.boolean(),
  /** What follows from giving up and is not done yet: whoever finds it does it. */
  owes: z
    .strictObject({
      ticket: z.boolean(),
      fallback: z.boolean(),
      /** What was wrong then. */
      text: z.string(),
    })
    .nullable()
    .default(null),
  /** Its latest own stops and starts, so that the engine's telling of them, also later, is taken for no operator's. */
  ownActs: z
    .array(z.strictObject({ component: z.string(), from: instant, to: instant.nullable() }))
    .max(8)
    .default([]),
  /** The agent runs with the engine's socket since then, in this one's place; noted before it is begun. */
  legacySince: instant.nullable(),
  /** When the wish of people that was last acted on was spoken. */
  intentAt: instant.nullable(),
  /** What was last said about it, so that it is said once. */
  told: z.string(),
  /** Up to here the engine's events are known. */
  eventsUntil: instant.nullable(),
});

export type WatchMemory = Readonly<z.output<typeof watchMemorySchema>>;

export const NEW_MEMORY: WatchMemory = {
  version: 1,
  attempts: 0,
  gaveUp: false,
  dueAt: null,
  badSince: null,
  goodSince: null,
  lookedAt: null,
  containerId: null,
  startedAt: null,
  restartCount: 0,
  rises: 0,
  riseAt: null,
  oomAt: null,
  seenRunning: null,
  stop: null,
  goodImage: null,
  triedImage: null,
  acting: null,
  failedCall: false,
  owes: null,
  ownActs: [],
  legacySince: null,
  intentAt: null,
  told: "",
  eventsUntil: null,
};

/** Signals that are meant to end a program; `docker kill -s HUP` is not. */
const ENDING_SIGNALS = [2, 3, 9, 15];

/** What an event of the engine adds. `ours` = the watchdog's own act causes such events now. Pure. */
export function rememberEvent(memory: WatchMemory, event: WatchedEvent, ours: boolean): WatchMemory {
  const known = { ...memory, eventsUntil: Math.max(memory.eventsUntil ?? 0, event.at) as EpochMs };
  switch (event.action) {
    case "start":
      return { ...known, stop: null };
    case "oom":
      return { ...known, oomAt: event.at };
    case "stop":
      return ours ? known : { ...known, stop: { kind: "stop", at: event.at } };
    case "kill": {
      const ending = event.signalNumber === null || ENDING_SIGNALS.includes(event.signalNumber);
      // The kill that a stop begins with must not hide the stop before it.
      return ours || !ending || memory.stop?.kind === "stop"
        ? known
        : { ...known, stop: { kind: "kill", at: event.at } };
    }
    default:
      return known;
  }
}

/** An engine that ends stops its containers as if somebody had asked, for up to 15 s each (moby `daemon.Shutdown`). */
const SHUTDOWN_MS = 30_000;
/** One that still answers so long after a stop was not ending then: it closes its API first. */
const ANSWERED_MS = 2_000;

/**
 * The engine went away. What it stopped just before was its own shutdown, not a person: those containers are to come
 * back with it.
 */
export function forgetShutdown(memory: WatchMemory, goneAt: EpochMs): WatchMemory {
  const { stop, lookedAt } = memory;
  if (stop === null || goneAt - stop.at > SHUTDOWN_MS) return memory;
  return (lookedAt ?? 0) - stop.at >= ANSWERED_MS ? memory : { ...memory, stop: null };
}

/** Restarts by the engine's policy since the last look at this container. */
export function risesNow(container: WatchedContainer, memory: WatchMemory): number {
  return container.id === memory.containerId ? Math.max(0, container.restartCount - memory.restartCount) : 0;
}

/** What a look adds, whatever it means. Pure. */
export function rememberLook(memory: WatchMemory, container: WatchedContainer | null, at: EpochMs): WatchMemory {
  if (container === null) return { ...memory, lookedAt: at };
  const rose = risesNow(container, memory);
  const sameRun = container.id === memory.containerId && container.startedAt === memory.startedAt;
  return {
    ...memory,
    lookedAt: at,
    // Another run, or another image: what the one before was worth says nothing of it.
    goodSince: sameRun ? memory.goodSince : null,
    containerId: container.id,
    startedAt: container.startedAt,
    restartCount: container.restartCount,
    rises: memory.rises + rose,
    riseAt: rose > 0 ? at : memory.riseAt,
    seenRunning: container.status === "running" ? at : memory.seenRunning,
    // A stop concerns one run; one that began later was started by somebody.
    stop: memory.stop !== null && (container.startedAt ?? 0) > memory.stop.at ? null : memory.stop,
  };
}
