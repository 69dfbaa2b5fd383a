import type { Plane } from "../../harness/control/planes.ts";
import {
  TokenError,
  type StoredToken,
  type TokenEntry,
  type TokenProvider,
} from "../../harness/control/tokens/index.ts";

/** A provider without files or a server, which can be made to fail and counts what it is asked. */
export class MemoryTokens implements TokenProvider {
  readonly name = "memory";
  rereadEveryMs = 0;
  /** What every call meets until it is null again. */
  failure: TokenError | null = null;
  reads = 0;
  readonly #entries = new Map<Plane, StoredToken>();
  #version = 0;
  /** Readings wait for it when set. */
  gate: Promise<void> | null = null;

  async fetch(plane: Plane): Promise<StoredToken | null> {
    this.reads++;
    const there = this.#entries.get(plane) ?? null;
    if (this.gate !== null) await this.gate;
    if (this.failure !== null) throw this.failure;
    return there;
  }

  store(plane: Plane, entry: TokenEntry, expected: string | null): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if ((this.#entries.get(plane)?.version ?? null) !== expected)
      return Promise.reject(new TokenError("changed", "changed meanwhile"));
    this.put(plane, entry);
    return Promise.resolve();
  }

  remove(plane: Plane): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure);
    this.#entries.delete(plane);
    return Promise.resolve();
  }

  /** As somebody else would. */
  put(plane: Plane, entry: TokenEntry): void {
    this.#entries.set(plane, { ...entry, version: String(++this.#version) });
  }
}
