import type { Clock } from "../../../../harness/base/clock.ts";
import type { NodeLog } from "../node-log.ts";
import type { PeerChange } from "./change-peers.ts";
import type { RecoveryPlanMessage } from "./pd-messages.ts";
import type { RegionPeer } from "./region-peer.ts";
import { fromPeerMessage, fromRegionMessage, isJoint, toRegionMessage } from "./region.ts";
import type { Store } from "./store.ts";

export interface StoreRecoveryOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly timeFactor: number;
  /** A report is ready: PD waits for it. */
  onReport(): void;
}

const LOOK_MS = 100;
/** What has not come about by then is reported as it is, and PD plans again. */
const PATIENCE_MS = 60_000;
/** raft_serverpb.PeerState */
const PEER_STATE = { normal: 0, merging: 3 } as const;

/**
 * Carries out what PD plans for regions that lost their majority for good, and reports (tikv/tikv:components/raftstore/
 * src/store/unsafe_recovery.rs, worker/pd.rs, fsm/peer.rs): leading by force, demoting the voters that are gone,
 * creating empty regions, dropping replicas.
 */
export class StoreRecovery {
  readonly #options: StoreRecoveryOptions;
  #step = 0;
  #report: object | null = null;

  constructor(options: StoreRecoveryOptions) {
    this.#options = options;
  }

  /** Until the signal. Never rejects. */
  async carryOut(plan: RecoveryPlanMessage, signal: AbortSignal): Promise<void> {
    const { clock, log, timeFactor, onReport } = this.#options;
    const step = Number(plan.step);
    // Sent again because the report is late; it is on its way.
    if (step === this.#step) return;
    this.#step = step;
    log.info("pd.rs:1090", "unsafe recovery, received a plan", { step, demotes: plan.demotes.length });
    this.#begin(plan);
    const deadline = clock.monotonic() + PATIENCE_MS * timeFactor;
    while (!signal.aborted && this.#step === step && !this.#isDone(plan) && clock.monotonic() < deadline)
      await clock.sleep(LOOK_MS * timeFactor, signal).catch(() => {});
    if (signal.aborted || this.#step !== step) return;
    this.#report = { step: plan.step, peer_reports: [...this.#options.store.peers].map(peerReport) };
    onReport();
  }

  /** Once. */
  takeReport(): object | null {
    const report = this.#report;
    this.#report = null;
    return report;
  }

  #begin({ creates, tombstones, demotes, force_leader }: RecoveryPlanMessage): void {
    const { store } = this.#options;
    if (force_leader !== null) {
      const failed = new Set(force_leader.failed_stores.map(Number));
      for (const id of force_leader.enter_force_leaders) store.peer(Number(id))?.leadByForce(failed);
      return;
    }
    for (const region of creates) void store.createFirst(fromRegionMessage(region));
    for (const id of tombstones) {
      const peer = store.peer(Number(id));
      if (peer !== undefined) store.destroyStale(peer, peer.region?.epoch.confVer ?? 0);
    }
    if (creates.length + tombstones.length + demotes.length > 0) return;
    for (const peer of store.peers) peer.endForce();
  }

  #isDone({ creates, demotes, force_leader }: RecoveryPlanMessage): boolean {
    const { store } = this.#options;
    const leads = (id: string): boolean => store.peer(Number(id))?.node.leadsFirmly === true;
    const demoted = demotes.map(({ region_id, failed_voters }) => {
      const peer = store.peer(Number(region_id));
      return peer === undefined || this.#demote(peer, new Set(failed_voters.map((voter) => fromPeerMessage(voter).id)));
    });
    return (
      demoted.every(Boolean) &&
      creates.every(({ id }) => leads(id)) &&
      (force_leader === null || force_leader.enter_force_leaders.every(leads)) &&
      [...store.peers].every(({ node }) => node.appliedIndex === node.commitIndex)
    );
  }

  /** One step after the other, for as long as it is asked. @returns true when there is nothing left to do. */
  #demote(peer: RegionPeer, failed: ReadonlySet<number>): boolean {
    const { region } = peer;
    if (region === null) return true;
    const voters = region.peers.filter(({ id, role }) => failed.has(id) && role === "voter");
    const changes = voters.map((voter): PeerChange => ({ type: "add-learner", peer: { ...voter, role: "learner" } }));
    if (changes.length === 0 && !isJoint(region)) return true;
    peer.changePeers(isJoint(region) ? [] : changes);
    return false;
  }
}

/** `pdpb.PeerReport` as the loader wants it. */
function peerReport(peer: RegionPeer): object {
  const { term, vote, commit } = peer.node.hardState;
  const state = peer.state?.mergingInto ? PEER_STATE.merging : PEER_STATE.normal;
  return {
    raft_state: {
      hard_state: { term: String(term), vote: String(vote), commit: String(commit) },
      last_index: String(peer.node.lastIndex),
    },
    region_state: { state, region: peer.region === null ? null : toRegionMessage(peer.region) },
    is_force_leader: peer.isForced && peer.isLeader,
    has_commit_merge: false,
    applied_index: String(peer.node.appliedIndex),
  };
}
