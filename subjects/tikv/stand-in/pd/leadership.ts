import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { Random } from "../../../../harness/base/random.ts";
import type { RoleState } from "../../../common/raft/index.ts";
import type { NodeLog } from "../node-log.ts";
import { NotDecidedError, type Consensus } from "./consensus.ts";
import type { MemberMeta } from "./state.ts";

/** PD's lease (8.5.2 and newer). */
const LEASE_MS = 5_000;
/**
 * A new leader of the log gives every lease its whole time and an election time-out on top
 * (etcd-io/etcd:server/lease/lessor.go, `Promote(extend)`), and looks for expired ones each half second: the leader key
 * of a member that is gone is free 8 to 8.5 s after the election.
 */
const EXTENDED_BY_MS = 3_000;
const EXPIRY_EVERY_MS = 500;
/** A member with a past takes this long from joining the log to serving: regions are loaded, services started. */
const STARTING_MS = 500;
/** A leader that lost the log while it was suspended still answers what was waiting for it (seen: up to 1 s). */
const STALE_MS = 1_000;
/** A member that hears of no leader forgets the last one after this. */
const REMEMBER_MS = 60_000;

/** An heir that has not taken over by then never will: Raft gives a transfer up after an election time-out of 3 s. */
const HANDOVER_MS = 4_000;
const RETRY_MS = 200;

export interface LeadershipOptions {
  readonly self: MemberMeta;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeFactor: number;
  readonly log: NodeLog;
  /** 64 random bits, decimal: drawn once per cluster. */
  newClusterId(): string;
  /** Before anybody is answered as leader. @throws to give up this time. */
  onBegin(): Promise<void>;
  onEnd(): void;
}

/** Whether this member answers as PD's leader, and who else does as far as it knows. */
export class Leadership implements Disposable {
  readonly #options: LeadershipOptions;
  #consensus: Consensus | null = null;
  #reign: AbortController | null = null;
  #serving = false;
  #staleUntilMs = 0;
  readonly #join = Promise.withResolvers<void>();
  readonly #start = Promise.withResolvers<void>();
  #started = false;
  #starting = false;
  #freed = new AbortController();
  #lostAtMs: number | null = null;
  #hasServed = false;
  #changes = 0;
  #lastLeader = 0;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  attach(consensus: Consensus): void {
    this.#consensus = consensus;
  }

  get serving(): boolean {
    return this.#serving;
  }
  /** Whether requests are answered here as by the leader; a little longer than it decides anything. */
  get answersAsLeader(): boolean {
    return this.#serving || this.#options.clock.monotonic() < this.#staleUntilMs;
  }
  /** Resolves when a leader of the log has been heard for the first time. */
  get joined(): Promise<void> {
    return this.#join.promise;
  }
  /** False until this member has taken part in a quorum since it started. */
  get started(): boolean {
    return this.#started;
  }
  get leaderChanges(): number {
    return this.#changes;
  }

  /** Who is thought to be PD's leader; null = nobody known. */
  get leader(): MemberMeta | null {
    const { self, clock, timeFactor } = this.#options;
    if (this.answersAsLeader) return self;
    const state = this.#consensus?.state;
    if (state === undefined || state.leader === null || state.leader === self.name) return null;
    if (this.#lostAtMs !== null && clock.monotonic() - this.#lostAtMs > REMEMBER_MS * timeFactor) return null;
    return state.members.find(({ name }) => name === state.leader) ?? null;
  }

  onRole({ role, leader }: RoleState): void {
    if (leader !== 0) {
      if (leader !== this.#lastLeader) this.#changes++;
      this.#lastLeader = leader;
      if (!this.#starting) void this.#begin();
      this.#lostAtMs = null;
    } else this.#lostAtMs ??= this.#options.clock.monotonic();
    if (role === "leader" && this.#reign === null) this.#startCampaign(0);
    if (role !== "leader" && this.#reign !== null) {
      if (this.#serving) this.#staleUntilMs = this.#options.clock.monotonic() + STALE_MS * this.#options.timeFactor;
      this.#end("lease has expired, leader steps down");
    }
  }

  /** The member that holds the leader key came back and gave it up: nobody waits for its lease. */
  async keyGivenUp(by: string): Promise<void> {
    const consensus = this.#consensus as Consensus;
    if (consensus.role.role !== "leader" || this.#serving || consensus.state.leader !== by) return;
    await consensus.propose({ kind: "lead", name: null });
    this.#freed.abort();
  }

  /** A leader key from another life of this process, which is given up (tikv/pd:pkg/member/member.go, `CheckLeader`). */
  get hasOldKey(): boolean {
    const { leader } = (this.#consensus as Consensus).state;
    return leader === this.#options.self.name && this.#reign === null && !this.#hasServed;
  }

  /** The member that can be reached and has the highest priority, besides this one. */
  heir(): MemberMeta | null {
    const consensus = this.#consensus as Consensus;
    const reached = consensus.connectedPeers();
    const candidates = consensus.state.members.filter(({ name }) => reached.includes(name));
    return candidates.sort((a, b) => b.leaderPriority - a.leaderPriority)[0] ?? null;
  }

  /** Frees the leader key and hands the log over. @returns false when it cannot be handed to that member. */
  async handOver(to: MemberMeta): Promise<boolean> {
    const { self, log } = this.#options;
    const consensus = this.#consensus as Consensus;
    await consensus.propose({ kind: "lead", name: null });
    this.#serving = false;
    this.#options.onEnd();
    log.info("server.go:1779", "try to transfer leader", { from: self.name, to: to.name });
    const handed = consensus.transferTo(to.raftId);
    if (!handed) log.warn("server.go:1785", "transfer leader failed", { to: to.name });
    this.#startCampaign(handed ? HANDOVER_MS : 0);
    return handed;
  }

  /** Stops serving and standing for election. */
  [Symbol.dispose](): void {
    this.#end("server is closing");
  }

  #startCampaign(afterMs: number): void {
    this.#reign?.abort();
    this.#reign = new AbortController();
    void this.#campaign(this.#reign.signal, afterMs);
  }

  #end(why: string): void {
    const { log, self } = this.#options;
    this.#reign?.abort();
    this.#reign = null;
    if (!this.#serving) return;
    this.#serving = false;
    log.info("server.go:1796", why, { "leader-name": self.name });
    this.#options.onEnd();
  }

  /** Until this member serves or no longer leads the log. */
  async #campaign(signal: AbortSignal, afterMs: number): Promise<void> {
    const { clock, timeFactor, log } = this.#options;
    let waitMs = afterMs;
    while (!signal.aborted) {
      try {
        await clock.sleep(waitMs * timeFactor, signal);
        return await this.#win(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof NotDecidedError)) throw error;
        log.warn("server.go:1731", "campaign PD leader meets error due to etcd error", { error: errorText(error) });
        waitMs = RETRY_MS;
      }
    }
  }

  async #win(signal: AbortSignal): Promise<void> {
    const { self, log, newClusterId } = this.#options;
    const consensus = this.#consensus as Consensus;
    // Until something of its own term is decided it may not know what was decided before.
    await consensus.propose({ kind: "init", clusterId: newClusterId() });
    await this.#start.promise;
    await this.#untilKeyIsFree(signal);
    log.info("server.go:1713", "start to campaign PD leader", { "campaign-leader-name": self.name });
    await consensus.propose({ kind: "lead", name: self.name });
    log.info("server.go:1740", "campaign PD leader ok", { "campaign-leader-name": self.name });
    await this.#options.onBegin();
    signal.throwIfAborted();
    this.#serving = true;
    this.#hasServed = true;
    log.info("server.go:1773", "PD leader is ready to serve", { "leader-name": self.name });
  }

  async #untilKeyIsFree(signal: AbortSignal): Promise<void> {
    const { self, clock, random, timeFactor } = this.#options;
    const { leader } = (this.#consensus as Consensus).state;
    if (leader === null || leader === self.name) return;
    this.#freed = new AbortController();
    const lease = LEASE_MS + EXTENDED_BY_MS + random.int(EXPIRY_EVERY_MS);
    await clock.sleep(lease * timeFactor, AbortSignal.any([signal, this.#freed.signal])).catch(() => {});
    signal.throwIfAborted();
  }

  /** Of a new cluster at once: there is nothing to load. */
  async #begin(): Promise<void> {
    const { clock, timeFactor } = this.#options;
    this.#starting = true;
    this.#join.resolve();
    if ((this.#consensus as Consensus).isNew === false) await clock.sleep(STARTING_MS * timeFactor);
    this.#started = true;
    this.#start.resolve();
  }
}
