import type { Clock } from "../../../../harness/base/clock.ts";
import type { Peer, Region } from "./region.ts";

/** Who of a region has been heard of here, and when last. */
export class MembersHeard {
  readonly #clock: Clock;
  readonly #knownPeers = new Map<number, Peer>();
  readonly #heardAt = new Map<number, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  heard(from: Peer): void {
    this.#knownPeers.set(from.id, from);
    this.#heardAt.set(from.id, this.#clock.monotonic());
  }

  /** A leader may be one that our configuration does not have yet. */
  peer(id: number): Peer | undefined {
    return this.#knownPeers.get(id);
  }

  /** A new leader counts silence from now on, also of those whom it has never heard (TiKV: `peer_heartbeats`). */
  startWatching(region: Region): void {
    const now = this.#clock.monotonic();
    for (const { id } of region.peers) this.#heardAt.set(id, now);
  }

  /** Milliseconds since the last message; 0 for a peer that joined just now. */
  silentMs(peerId: number): number {
    const now = this.#clock.monotonic();
    const at = this.#heardAt.get(peerId);
    if (at === undefined) this.#heardAt.set(peerId, now);
    return at === undefined ? 0 : now - at;
  }
}
