import type { Clock, EpochMs } from "../../base/clock.ts";
import { errorText, HarnessError } from "../../base/errors.ts";
import type { Ids } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Plane } from "../planes.ts";
import { AcceptedTokens } from "./accepted-tokens.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { sharedReading } from "./reread.ts";
import { DEFAULT_GRACE_MS, rotateToken } from "./rotate-token.ts";
import {
  TokenError,
  type RotateOptions,
  type TokenCache,
  type TokenEntry,
  type TokenProvider,
  type TokenRecord,
  type TokenState,
} from "./types.ts";

export interface TokenCacheOptions {
  readonly provider: TokenProvider;
  /** The planes that this program has to do with; those of others are not even read. */
  readonly planes: readonly Plane[];
  /** Between two readings of a plane; 60 s unless told. */
  readonly refreshMs?: number;
  /** Share of `refreshMs` that is added or taken away at random, so that many programs do not ask at once. */
  readonly jitter?: number;
  readonly graceMs?: number;
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly log: Log;
}

interface Slot {
  readonly plane: Plane;
  readonly accepted: AcceptedTokens;
  /** Fingerprints that nobody has, and since when we know (monotonic). */
  readonly unknown: Map<string, number>;
  readonly reading: () => Promise<void>;
  lastRefreshOk: boolean | null;
  lastRefreshAt: EpochMs | null;
  lastError: string | null;
  lastFailure: TokenState["lastFailure"];
  rotations: number;
}

const REFRESH_MS = 60_000;
const JITTER = 0.1;
/** What was unknown a moment ago still is: strangers do not make us read again. */
const UNKNOWN_MS = 1_000;
const MOST_UNKNOWN = 1_024;
const FINGERPRINT = /^[0-9a-f]{16}$/;

/**
 * Reads each plane's token and keeps it fresh in the background until it is disposed of.
 *
 * @throws TokenError when the provider cannot be read, when a plane has no token or a weak one, or when two planes
 * share one: a program that cannot tell its callers apart does not start.
 */
export async function openTokenCache(options: TokenCacheOptions, deps: Deps, signal: AbortSignal): Promise<TokenCache> {
  const cache = new Cache(options, deps);
  try {
    await cache.open(signal);
  } catch (error) {
    await cache[Symbol.asyncDispose]();
    throw error;
  }
  return cache;
}

class Cache implements TokenCache {
  readonly #options: Required<TokenCacheOptions>;
  readonly #deps: Deps;
  readonly #slots: ReadonlyMap<Plane, Slot>;
  readonly #life = new AbortController();
  #background: Promise<unknown> = Promise.resolve();

  constructor(options: TokenCacheOptions, deps: Deps) {
    this.#options = { refreshMs: REFRESH_MS, jitter: JITTER, graceMs: DEFAULT_GRACE_MS, ...options };
    this.#deps = deps;
    this.#slots = new Map(options.planes.map((plane) => [plane, this.#slot(plane)]));
  }

  async open(signal: AbortSignal): Promise<void> {
    const { planes, provider } = this.#options;
    for (const plane of planes) {
      await this.refresh(plane, signal);
      if (this.current(plane) === null)
        throw new TokenError("missing", `${provider.name} has no token for ${plane}: \`token rotate\` makes one`);
    }
    const loops = planes.map((plane) => this.#keepFresh(this.#slotOf(plane)));
    if (provider.maintain !== undefined) loops.push(provider.maintain(this.#deps.log, this.#life.signal));
    this.#background = Promise.allSettled(loops);
  }

  current(plane: Plane): TokenRecord | null {
    return this.#slots.get(plane)?.accepted.current ?? null;
  }

  accepted(plane: Plane, fingerprint: string): TokenRecord | null {
    return this.#slots.get(plane)?.accepted.find(fingerprint) ?? null;
  }

  async lookup(plane: Plane, fingerprint: string, signal: AbortSignal): Promise<TokenRecord | null> {
    const slot = this.#slots.get(plane);
    if (slot === undefined || !FINGERPRINT.test(fingerprint)) return null;
    const known = slot.accepted.find(fingerprint);
    if (known !== null || this.#isUnknown(slot, fingerprint)) return known;
    await unlessAborted(slot.reading(), signal).catch(() => signal.throwIfAborted());
    const found = slot.accepted.find(fingerprint);
    if (found === null) this.#noteUnknown(slot, fingerprint);
    return found;
  }

  state(plane: Plane): TokenState {
    const slot = this.#slotOf(plane);
    const { current, predecessors } = slot.accepted;
    return {
      fingerprint: current === null ? null : fingerprintOf(current.token),
      issuedAt: current?.issuedAt ?? null,
      ageSeconds:
        current === null ? null : Math.max(0, Math.floor((this.#deps.clock.now() - current.issuedAt) / 1_000)),
      lastRefreshOk: slot.lastRefreshOk,
      lastRefreshAt: slot.lastRefreshAt,
      lastError: slot.lastError,
      lastFailure: slot.lastFailure,
      predecessors,
      rotations: slot.rotations,
    };
  }

  async refresh(plane: Plane, signal: AbortSignal): Promise<void> {
    await unlessAborted(this.#slotOf(plane).reading(), signal);
  }

  async rotate(plane: Plane, options: RotateOptions, signal: AbortSignal): Promise<TokenRecord> {
    const slot = this.#slotOf(plane);
    if (options.token !== undefined) this.#refuseShared(slot, options.token);
    const { provider, graceMs } = this.#options;
    const entry = await rotateToken(provider, plane, { graceMs, ...options }, this.#deps, signal);
    // By reading and not by taking the entry: a reading that began before it was stored must not have the last word.
    await slot.reading().catch(() => this.#take(slot, this.#withoutShared(slot, entry)));
    return entry.current;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new HarnessError("interrupted", "the token cache is closed"));
    await this.#background;
  }

  #slot(plane: Plane): Slot {
    const { provider, graceMs } = this.#options;
    const { clock } = this.#deps;
    const slot: Slot = {
      plane,
      accepted: new AcceptedTokens(clock, graceMs),
      unknown: new Map(),
      reading: sharedReading(() => this.#read(slot), {
        everyMs: provider.rereadEveryMs,
        clock,
        signal: this.#life.signal,
      }),
      lastRefreshOk: null,
      lastRefreshAt: null,
      lastError: null,
      lastFailure: null,
      rotations: 0,
    };
    return slot;
  }

  #slotOf(plane: Plane): Slot {
    const slot = this.#slots.get(plane);
    if (slot === undefined) throw new TokenError("missing", `this program has no token for ${plane}`);
    return slot;
  }

  async #keepFresh(slot: Slot): Promise<void> {
    const { refreshMs, jitter } = this.#options;
    const random = this.#deps.random.fork(`tokens/${slot.plane}`);
    for (;;) {
      const share = 1 + jitter * (2 * random.next() - 1);
      await this.#deps.clock.sleep(refreshMs * share, this.#life.signal);
      await slot.reading().catch(() => {});
    }
  }

  async #read(slot: Slot): Promise<void> {
    const { provider } = this.#options;
    const { clock, log } = this.#deps;
    try {
      const entry = await provider.fetch(slot.plane, this.#life.signal);
      if (entry !== null) this.#refuseShared(slot, entry.current.token);
      const ours = entry === null ? null : this.#withoutShared(slot, entry);
      slot.lastRefreshOk = true;
      slot.lastRefreshAt = clock.now();
      if (slot.lastError !== null) log.info("tokens.refreshed", { plane: slot.plane, provider: provider.name });
      slot.lastError = null;
      slot.lastFailure = null;
      this.#take(slot, ours);
    } catch (error) {
      this.#life.signal.throwIfAborted();
      const why = errorText(error);
      // Once per reason: a provider that is down for a night would fill the log.
      if (slot.lastError !== why)
        log.warn("tokens.refresh-failed", { plane: slot.plane, provider: provider.name, why });
      slot.lastRefreshOk = false;
      slot.lastRefreshAt = clock.now();
      slot.lastError = why;
      slot.lastFailure = error instanceof TokenError ? error.reason : "failed";
      throw error;
    }
  }

  #take(slot: Slot, entry: TokenEntry | null): void {
    const { log } = this.#deps;
    const before = slot.accepted.current;
    const changed = slot.accepted.take(entry);
    slot.unknown.clear();
    if (changed) {
      slot.rotations += 1;
      const { fingerprint, predecessors } = this.state(slot.plane);
      log.info("tokens.rotated", { plane: slot.plane, fingerprint, predecessors });
    }
    if (entry === null && before !== null) log.warn("tokens.revoked", { plane: slot.plane });
  }

  /** A predecessor that is the other plane's: left by a rotation that was to put just that right. */
  #withoutShared(slot: Slot, entry: TokenEntry): TokenEntry {
    const isShared = (token: string): boolean =>
      [...this.#slots.values()].some((other) => other !== slot && other.accepted.find(fingerprintOf(token)) !== null);
    return { ...entry, previous: entry.previous?.filter(({ token }) => !isShared(token)) ?? null };
  }

  /** With one token for both, whoever holds the one plane's would be the other. */
  #refuseShared(slot: Slot, token: string): void {
    const fingerprint = fingerprintOf(token);
    for (const other of this.#slots.values())
      if (other !== slot && other.accepted.find(fingerprint) !== null)
        throw new TokenError("weak", `${slot.plane} and ${other.plane} have the same token: rotate one of them`);
  }

  #isUnknown(slot: Slot, fingerprint: string): boolean {
    const since = slot.unknown.get(fingerprint);
    return since !== undefined && this.#deps.clock.monotonic() - since < UNKNOWN_MS;
  }

  #noteUnknown(slot: Slot, fingerprint: string): void {
    slot.unknown.delete(fingerprint);
    slot.unknown.set(fingerprint, this.#deps.clock.monotonic());
    const [oldest] = slot.unknown.keys();
    if (slot.unknown.size > MOST_UNKNOWN && oldest !== undefined) slot.unknown.delete(oldest);
  }
}

/** Stops waiting when the signal aborts; what is waited for goes on, since others wait for it too. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
