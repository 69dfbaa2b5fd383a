import type { RaftNode, ReadState } from "../../../common/raft/index.ts";
import type { PeerHost } from "./peer-host.ts";
import type { RegionError } from "./region-errors.ts";
import type { RegionPeer } from "./region-peer.ts";
import type { Peer } from "./region.ts";
import { WaitingReads } from "./waiting.ts";

/**
 * Reads of one replica. A leader knows by its lease or by a round of heartbeats that what it has applied is new enough;
 * a follower asks its leader from which index on it may answer.
 */
export class PeerReads {
  readonly #peer: RegionPeer;
  readonly #node: RaftNode;
  readonly #host: PeerHost;
  readonly #waiting = new WaitingReads();
  /** Followers that asked, by our own context. */
  readonly #asking = new Map<number, { readonly from: Peer; readonly context: number }>();

  constructor(peer: RegionPeer, node: RaftNode, host: PeerHost) {
    this.#peer = peer;
    this.#node = node;
    this.#host = host;
  }

  /** Resolves with null once what is applied here is as new as anything acknowledged before the call. */
  barrier(): Promise<RegionError | null> {
    const leader = this.#peer.leaderPeer;
    if (leader === undefined) return Promise.resolve(this.#peer.notLeader());
    const { context, done } = this.#waiting.add();
    if (this.#peer.isLeader) this.#node.readIndex(context);
    else this.#host.askReadIndex(this.#peer, leader, context);
    this.#host.wake(this.#peer.id);
    return done;
  }

  /** A follower wants to know from which index on it may answer. */
  answer(from: Peer, context: number): void {
    const { context: own, done } = this.#waiting.add();
    this.#asking.set(own, { from, context });
    this.#node.readIndex(own);
    this.#host.wake(this.#peer.id);
    void done.then(() => this.#asking.delete(own));
  }

  /** The leader's answer to `barrier`. */
  onAnswer(context: number, index: number): void {
    this.#waiting.known(context, index);
    this.serve(this.#node.appliedIndex);
  }

  /** What was asked of a leader may have been lost. */
  askAgain(): void {
    const leader = this.#peer.leaderPeer;
    if (this.#peer.isLeader || leader === undefined) return;
    for (const context of this.#waiting.unknown) this.#host.askReadIndex(this.#peer, leader, context);
  }

  onReads(states: readonly ReadState[]): void {
    for (const { context, index } of states) {
      const asking = this.#asking.get(context);
      if (asking !== undefined) this.#host.answerReadIndex(this.#peer, asking.from, asking.context, index);
      this.#waiting.known(context, index);
    }
    this.serve(this.#node.appliedIndex);
  }

  /** So much has been applied. */
  serve(appliedIndex: number): void {
    this.#waiting.serve(appliedIndex);
  }

  failAll(error: RegionError): void {
    this.#waiting.failAll(error);
  }
}
