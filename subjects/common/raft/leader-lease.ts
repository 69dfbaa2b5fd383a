import type { Membership } from "./membership.ts";

/**
 * Reads without a round of messages (Raft thesis, 6.4.1; TiKV: components/raftstore/src/store/util.rs, `Lease`). Time
 * is read, never counted in ticks: a process that was stopped has lost its lease when it goes on.
 */
export interface LeaseOptions {
  /** Milliseconds from an arbitrary start that go on while the process is stopped. */
  monotonic(): number;
  /** How long a confirmed leader answers reads by itself, counted from when it asked for confirmation. */
  readonly leaseMs: number;
  /**
   * How long a member that heard of a leader helps nobody else to lead, counted from when it heard, or from its start
   * when it may have heard of one before. Longer than `leaseMs` by more than clocks can differ over that time.
   */
  readonly promiseMs: number;
}

/** Sent rounds of heartbeats whose time is known: older ones confirm nothing. */
const ROUNDS = 256;

/** A leader's lease: until when a majority has promised to elect nobody else. */
export class LeaderLease {
  readonly #options: LeaseOptions;
  readonly #self: number;
  readonly #sentAt = new Float64Array(ROUNDS);
  readonly #confirmedAt = new Map<number, number>();
  #lastRound = 0;
  #givenUp = false;

  constructor(options: LeaseOptions, self: number) {
    this.#options = options;
    this.#self = self;
  }

  roundStarts(round: number): void {
    this.#lastRound = round;
    this.#sentAt[round % ROUNDS] = this.#options.monotonic();
  }

  confirmed(by: number, round: number): void {
    if (round === 0 || round > this.#lastRound || round <= this.#lastRound - ROUNDS) return;
    const sentAt = this.#sentAt[round % ROUNDS] ?? -Infinity;
    this.#confirmedAt.set(by, Math.max(sentAt, this.#confirmedAt.get(by) ?? -Infinity));
  }

  /** For the rest of the term: leadership has been offered to somebody who may take it at any later time. */
  giveUp(): void {
    this.#givenUp = true;
  }

  isHeld(membership: Membership): boolean {
    return this.#options.monotonic() < this.until(membership);
  }

  /** On the clock of `monotonic`; -Infinity = there is none. */
  until(membership: Membership): number {
    if (this.#givenUp) return -Infinity;
    const now = this.#options.monotonic();
    const since = membership.quorumValue((id) => (id === this.#self ? now : (this.#confirmedAt.get(id) ?? -Infinity)));
    return since + this.#options.leaseMs;
  }
}
