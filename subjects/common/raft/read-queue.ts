import type { ReadState } from "./types.ts";

interface PendingRead extends ReadState {
  readonly round: number;
}

/**
 * Reads that wait until a quorum has confirmed, after they arrived, that the leader still is one (Raft thesis, 6.4).
 * One round of heartbeats confirms every read that arrived before it was sent.
 */
export class ReadQueue {
  /** Arrived before the leader had committed anything of its own term. */
  readonly #early: number[] = [];
  #pending: PendingRead[] = [];
  #round = 0;
  #unsent = false;

  /** The round that heartbeats carry. */
  get round(): number {
    return this.#round;
  }

  hold(context: number): void {
    this.#early.push(context);
  }

  /** Those held, for the caller to `add` with an index now that there is one. */
  takeHeld(): number[] {
    return this.#early.splice(0);
  }

  add(context: number, index: number): void {
    this.#pending.push({ context, index, round: this.#round + 1 });
    this.#unsent = true;
  }

  /** Reads arrived since the last round was sent. */
  get startRoundDue(): boolean {
    return this.#unsent;
  }

  get isWaiting(): boolean {
    return this.#pending.length > 0;
  }

  /** Heartbeats are about to be sent. */
  startRound(): void {
    this.#unsent = false;
    this.#round++;
  }

  confirmed(round: number): ReadState[] {
    const done = this.#pending.filter((read) => read.round <= round);
    if (done.length > 0) this.#pending = this.#pending.slice(done.length);
    return done.map(({ context, index }) => ({ context, index }));
  }
}
