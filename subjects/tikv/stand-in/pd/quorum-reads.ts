import type { Clock } from "../../../../harness/base/clock.ts";
import type { RoleState } from "../../../common/raft/index.ts";
import type { Consensus } from "./consensus.ts";

/** etcd-io/etcd:server/etcdserver/v3_server.go, `readIndexRetryTime`. */
const RETRY_MS = 500;
/** etcd's ReqTimeout: 5 s and two election time-outs (server/config/config.go). */
const GIVE_UP_MS = 11_000;

export type ReadProblem = "leader changed" | "request timed out";

/**
 * Linearizable reads as etcd makes them on any member: the leader has to confirm that it leads. While it does not, the
 * read hangs; it fails when another leader turns up, or after 11 s.
 */
export class QuorumReads {
  readonly #consensus: Consensus;
  readonly #clock: Clock;
  readonly #timeFactor: number;
  readonly #waiting = new Map<number, (problem: ReadProblem | null) => void>();
  #next = 0;
  #leader = 0;

  constructor(options: { readonly consensus: Consensus; readonly clock: Clock; readonly timeFactor: number }) {
    this.#consensus = options.consensus;
    this.#clock = options.clock;
    this.#timeFactor = options.timeFactor;
  }

  /** Null when a majority stands behind what this member would answer. */
  async read(): Promise<ReadProblem | null> {
    const id = this.#next++;
    const { promise, resolve } = Promise.withResolvers<ReadProblem | null>();
    this.#waiting.set(id, resolve);
    const done = new AbortController();
    const ask = async () => {
      const until = this.#clock.monotonic() + GIVE_UP_MS * this.#timeFactor;
      while (!done.signal.aborted && this.#clock.monotonic() < until) {
        this.#ask(id, done.signal);
        await this.#clock.sleep(RETRY_MS * this.#timeFactor, done.signal).catch(() => {});
      }
      resolve("request timed out");
    };
    void ask();
    try {
      return await promise;
    } finally {
      done.abort();
      this.#waiting.delete(id);
    }
  }

  /** Another member's answer to one of ours. */
  confirmed(id: number): void {
    this.#waiting.get(id)?.(null);
  }

  onRole({ leader }: RoleState): void {
    if (leader === 0 || leader === this.#leader) return;
    this.#leader = leader;
    for (const settle of this.#waiting.values()) settle("leader changed");
  }

  #ask(id: number, signal: AbortSignal): void {
    const { raftLeader, role } = this.#consensus;
    // Not leading firmly, or no longer: it is asked again.
    if (role.role === "leader")
      this.#consensus.confirmLeading(signal).then(
        () => this.confirmed(id),
        () => {},
      );
    else if (raftLeader !== null) this.#consensus.tell(raftLeader, { kind: "read", id });
  }
}
