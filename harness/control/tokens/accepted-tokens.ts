import { timingSafeEqual } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { TokenEntry, TokenRecord } from "./types.ts";

interface Accepted {
  readonly record: TokenRecord;
  readonly fingerprint: string;
  /** On the monotonic clock, so that no change of the wall clock prolongs it; null = the current one. */
  readonly untilMs: number | null;
}

/** Which tokens of one plane may be used now: the current one, and each predecessor to the end of its grace. */
export class AcceptedTokens {
  readonly #clock: Clock;
  readonly #graceMs: number;
  #all: readonly Accepted[] = [];
  /** Ends of grace by fingerprint as they were first seen: reading the same entry again starts none anew. */
  #ends = new Map<string, { readonly wall: number; readonly untilMs: number }>();

  /** @param graceMs for a predecessor of which whoever wrote the new entry says nothing. */
  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  get current(): TokenRecord | null {
    return this.#all.find(({ untilMs }) => untilMs === null)?.record ?? null;
  }

  get predecessors(): number {
    return this.#live().filter(({ untilMs }) => untilMs !== null).length;
  }

  get fingerprints(): readonly string[] {
    return this.#live().map(({ fingerprint }) => fingerprint);
  }

  /** Looks at every candidate whatever the first ones say. */
  find(fingerprint: string): TokenRecord | null {
    const asked = Buffer.from(fingerprint, "latin1");
    let found: TokenRecord | null = null;
    for (const { record, fingerprint: own } of this.#live()) {
      const mine = Buffer.from(own, "latin1");
      if (asked.length === mine.length && timingSafeEqual(asked, mine)) found = record;
    }
    return found;
  }

  /** @returns whether the current token is another one than before. */
  take(entry: TokenEntry | null): boolean {
    const before = this.#all;
    if (entry === null) {
      this.#all = [];
      return false;
    }
    const current: Accepted = {
      record: entry.current,
      fingerprint: fingerprintOf(entry.current.token),
      untilMs: null,
    };
    const previous = entry.previous === null ? this.#remembered(before, current) : this.#told(entry.previous);
    this.#all = [current, ...previous.filter(({ fingerprint }) => fingerprint !== current.fingerprint)];
    const old = before.find(({ untilMs }) => untilMs === null);
    return old !== undefined && old.fingerprint !== current.fingerprint;
  }

  #live(): readonly Accepted[] {
    const now = this.#clock.monotonic();
    return this.#all.filter(({ untilMs }) => untilMs === null || untilMs > now);
  }

  #told(previous: NonNullable<TokenEntry["previous"]>): Accepted[] {
    const [wall, now] = [this.#clock.now(), this.#clock.monotonic()];
    const ends = new Map<string, { readonly wall: number; readonly untilMs: number }>();
    const all = previous.map((one) => {
      const fingerprint = fingerprintOf(one.token);
      const seen = this.#ends.get(fingerprint);
      const untilMs = seen?.wall === one.acceptedUntil ? seen.untilMs : now + (one.acceptedUntil - wall);
      ends.set(fingerprint, { wall: one.acceptedUntil, untilMs });
      return { record: one, fingerprint, untilMs };
    });
    this.#ends = ends;
    return all;
  }

  /** Somebody replaced the token without a word about its predecessors: they get the usual grace from now on. */
  #remembered(before: readonly Accepted[], current: Accepted): Accepted[] {
    const end = this.#clock.monotonic() + this.#graceMs;
    return before
      .filter(({ fingerprint }) => fingerprint !== current.fingerprint)
      .map((one) => ({ ...one, untilMs: one.untilMs ?? end }));
  }
}
