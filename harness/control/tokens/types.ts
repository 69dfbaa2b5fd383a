import type { EpochMs } from "../../base/clock.ts";
import { HarnessError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Plane } from "../planes.ts";

/** What a plane signs and is verified with. The token itself never travels and is never shown: see `fingerprintOf`. */
export interface TokenRecord {
  readonly token: string;
  /** What its bearer may ask for; the server's command table says which command needs which. */
  readonly scopes: readonly string[];
  readonly issuedAt: EpochMs;
}

/** A token that was replaced and is still taken until then, so that nobody who has not heard yet is refused. */
export interface Predecessor extends TokenRecord {
  readonly acceptedUntil: EpochMs;
}

/** What a provider keeps for one plane. */
export interface TokenEntry {
  readonly current: TokenRecord;
  /** Newest first; null where whoever wrote the entry does not know of predecessors (`vault kv put … token=…`). */
  readonly previous: readonly Predecessor[] | null;
}

export interface StoredToken extends TokenEntry {
  /** The provider's own mark of this very state, for `store`; null where it has none (KV v1). */
  readonly version: string | null;
}

/** Where tokens are kept. Each plane's entry is read and written on its own. */
export interface TokenProvider {
  /** For people and logs: `files <folder>`, `vault <address>`; no secret in it. */
  readonly name: string;
  /** At least so long between two readings that strangers can provoke. */
  readonly rereadEveryMs: number;
  /** @returns null where there is none (never issued, or revoked). @throws TokenError */
  fetch(plane: Plane, signal: AbortSignal): Promise<StoredToken | null>;
  /**
   * Replaces the entry whole or not at all. `expected` is the version it was read with (null: there was none); where
   * the provider can tell, a state that has changed meanwhile is not overwritten.
   * @throws TokenError; reason `changed` when somebody else was faster.
   */
  store(plane: Plane, entry: TokenEntry, expected: string | null, signal: AbortSignal): Promise<void>;
  /** Revokes: nobody is let in by this plane until a new token is stored. Nothing there is fine. @throws TokenError */
  remove(plane: Plane, signal: AbortSignal): Promise<void>;
  /** Keeps the provider's own access alive until the signal aborts (Vault's token is renewed); never throws before. */
  maintain?(log: Log, signal: AbortSignal): Promise<void>;
}

/** What `/health`, `/metrics` and `lab token show` tell of one plane. */
export interface TokenState {
  readonly fingerprint: string | null;
  readonly issuedAt: EpochMs | null;
  readonly ageSeconds: number | null;
  /** Whether the last reading of the provider worked; null before the first. */
  readonly lastRefreshOk: boolean | null;
  readonly lastRefreshAt: EpochMs | null;
  /** Why it did not; no secret in it, but addresses and paths of this machine. */
  readonly lastError: string | null;
  /** The same in one word, for whoever may ask. */
  readonly lastFailure: TokenFailure | "failed" | null;
  /** Predecessors that are taken now. */
  readonly predecessors: number;
  /** How often the current token was seen to change since the cache was opened. */
  readonly rotations: number;
}

export interface RotateOptions {
  /** A token of the caller's choice; without it one is drawn. */
  readonly token?: string;
  /** How long the predecessor stays valid; 0 = refused at once. */
  readonly graceMs?: number;
}

/** Tokens in memory, each plane refreshed on its own in the background. A provider that is down changes nothing in it. */
export interface TokenCache extends AsyncDisposable {
  /** What to sign with; null where the plane has no token. */
  current(plane: Plane): TokenRecord | null;
  /** The record with this fingerprint if it may be used now. No I/O; compares in constant time. */
  accepted(plane: Plane, fingerprint: string): TokenRecord | null;
  /**
   * As `accepted`; what is unknown makes the provider be read once more, at most once per `rereadEveryMs` however many
   * ask: a rotation elsewhere is found by the first request that is signed with the new token. Never throws for a
   * provider that is down.
   */
  lookup(plane: Plane, fingerprint: string, signal: AbortSignal): Promise<TokenRecord | null>;
  state(plane: Plane): TokenState;
  /** Reads the provider now; for a client that was answered 401. @throws TokenError; the cache stays as it was. */
  refresh(plane: Plane, signal: AbortSignal): Promise<void>;
  /** Stores a new token and then uses it. @throws TokenError; then the old one is in force. */
  rotate(plane: Plane, options: RotateOptions, signal: AbortSignal): Promise<TokenRecord>;
}

/**
 * `down`, `sealed`, `timeout`: may work later. `denied`, `permissions`, `malformed`, `weak`, `missing`: a person has to
 * do something. `changed`: somebody else wrote meanwhile.
 */
export type TokenFailure =
  "down" | "sealed" | "timeout" | "denied" | "permissions" | "malformed" | "weak" | "missing" | "changed";

/** What went wrong with a token or where it is kept. Its text never has a token in it. */
export class TokenError extends HarnessError {
  readonly reason: TokenFailure;
  constructor(reason: TokenFailure, message: string, options: { cause?: unknown } = {}) {
    super("tokens-failed", message, { details: { reason }, ...options });
    this.reason = reason;
  }
}
