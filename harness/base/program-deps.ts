import { systemClock, type Clock } from "./clock.ts";
import { randomIds, type Ids } from "./ids.ts";
import { seededRandom, type Random } from "./random.ts";

/** What a program hands to its parts, made once at its start: real time, fresh chance, and the log that it was given. */
export function programDeps<L>(log: L): {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly log: L;
  readonly fetch: typeof globalThis.fetch;
} {
  return {
    clock: systemClock,
    random: seededRandom(randomIds.hex(8)),
    ids: randomIds,
    log,
    fetch: globalThis.fetch,
  };
}
