import type { Region } from "../regions.ts";

export interface PeerRef {
  readonly storeId: number;
  readonly peerId: number;
}

/** What operators are made of (tikv/pd:pkg/schedule/operator/step.go). */
export type Step =
  | {
      readonly kind: "transfer-leader";
      readonly from: number;
      readonly to: number;
      /** More stores that would do as well; empty when it has to be `to`. */
      readonly anyOf: readonly number[];
    }
  | ({ readonly kind: "add-learner" } & PeerRef)
  | ({ readonly kind: "promote-learner" } & PeerRef)
  | ({ readonly kind: "remove-peer" } & PeerRef)
  | { readonly kind: "enter-joint"; readonly promote: readonly PeerRef[]; readonly demote: readonly PeerRef[] }
  | { readonly kind: "leave-joint"; readonly promote: readonly PeerRef[]; readonly demote: readonly PeerRef[] }
  /** `passive`: the side that swallows the other and has nothing to do itself. */
  | { readonly kind: "merge"; readonly source: Region; readonly target: Region; readonly passive: boolean }
  | {
      readonly kind: "split";
      readonly policy: SplitPolicy;
      /** Hex. */
      readonly keys: readonly string[];
      readonly startKey: string;
      readonly endKey: string;
    };

export type SplitPolicy = "SCAN" | "APPROXIMATE" | "USEKEY";

export const ROLE = { voter: 0, learner: 1, incomingVoter: 2, demotingVoter: 3 } as const;

/** As metrics name them (`pd_schedule_finish_operator_steps_duration_seconds`). */
export const STEP_TYPES: Readonly<Record<Step["kind"], string>> = {
  "transfer-leader": "TransferLeader",
  "add-learner": "AddLearner",
  "promote-learner": "PromoteLearner",
  "remove-peer": "RemovePeer",
  "enter-joint": "ChangePeerV2Enter",
  "leave-joint": "ChangePeerV2Leave",
  merge: "MergeRegion",
  split: "SplitRegion",
};

export function stepText(step: Step): string {
  switch (step.kind) {
    case "transfer-leader":
      return `transfer leader from store ${step.from} to store ${step.to}`;
    case "add-learner":
      return `add learner peer ${step.peerId} on store ${step.storeId}`;
    case "promote-learner":
      return `promote learner peer ${step.peerId} on store ${step.storeId} to voter`;
    case "remove-peer":
      return `remove peer on store ${step.storeId}`;
    case "enter-joint":
    case "leave-joint": {
      const promote = step.promote.map((to) => `, promote learner peer ${to.peerId} on store ${to.storeId} to voter`);
      const demote = step.demote.map((to) => `, demote voter peer ${to.peerId} on store ${to.storeId} to learner`);
      const what = step.kind === "enter-joint" ? "use joint consensus" : "leave joint state";
      return [what, ...promote, ...demote].join("");
    }
    case "merge":
      return `merge region ${step.source.id} into region ${step.target.id}`;
    case "split":
      return `split region with policy ${step.policy}`;
  }
}

export function isStepDone(step: Step, region: Region): boolean {
  const peer = (storeId: number) => region.peers.find((each) => each.storeId === storeId);
  const isRole = (ref: PeerRef, ...roles: readonly number[]) => {
    const found = peer(ref.storeId);
    return found?.id === ref.peerId && roles.includes(found.role);
  };
  switch (step.kind) {
    case "transfer-leader":
      return [step.to, ...step.anyOf].includes(region.leader?.storeId ?? 0);
    case "add-learner":
      return isRole(step, ROLE.learner) && region.pendingPeers.every(({ id }) => id !== step.peerId);
    case "promote-learner":
      return isRole(step, ROLE.voter);
    case "remove-peer":
      return peer(step.storeId) === undefined;
    case "enter-joint":
      return (
        step.promote.every((ref) => isRole(ref, ROLE.voter, ROLE.incomingVoter)) &&
        step.demote.every((ref) => isRole(ref, ROLE.learner, ROLE.demotingVoter))
      );
    case "leave-joint":
      return (
        step.promote.every((ref) => isRole(ref, ROLE.voter)) &&
        step.demote.every((ref) => isRole(ref, ROLE.learner)) &&
        !isInJointState(region)
      );
    case "merge":
      return step.passive && (region.startKey !== step.target.startKey || region.endKey !== step.target.endKey);
    case "split":
      return region.startKey !== step.startKey || region.endKey !== step.endKey;
  }
}

export function isInJointState({ peers }: Region): boolean {
  return peers.some(({ role }) => role === ROLE.incomingVoter || role === ROLE.demotingVoter);
}

/** Why the step cannot be carried out any more, or null. `isDown`: gone, or Down for long. */
export function whyStale(step: Step, region: Region, isDown: (storeId: number) => boolean): string | null {
  const peer = (storeId: number) => region.peers.find((each) => each.storeId === storeId);
  switch (step.kind) {
    case "transfer-leader": {
      const possible = [...step.anyOf, step.to].filter((to) => !isDown(to) && isVoter(peer(to)?.role));
      return possible.length > 0 ? null : "peer does not existed";
    }
    case "add-learner": {
      if (isDown(step.storeId)) return "target store is down";
      const there = peer(step.storeId);
      if (there === undefined) return null;
      if (there.id !== step.peerId) return `peer ${there.id} has already existed in store ${step.storeId}`;
      return there.role === ROLE.learner ? null : "peer already is a voter";
    }
    case "promote-learner":
      return peer(step.storeId)?.id === step.peerId ? null : "peer does not exist";
    case "remove-peer":
      return region.leader?.storeId === step.storeId ? "cannot remove leader peer" : null;
    case "enter-joint":
    case "leave-joint": {
      const all = [...step.promote, ...step.demote];
      if (all.some((ref) => peer(ref.storeId)?.id !== ref.peerId)) return "peer does not exist";
      const demotesLeader = step.demote.some(({ storeId }) => storeId === region.leader?.storeId);
      return step.kind === "leave-joint" && demotesLeader ? "cannot demote leader peer" : null;
    }
    case "merge":
    case "split":
      return null;
  }
}

function isVoter(role: number | undefined): boolean {
  return role !== undefined && role !== ROLE.learner;
}

/** How far this step alone has moved `conf_ver`, judged by what the region looks like. */
export function confVerMoved(step: Step, region: Region): number {
  const peer = (storeId: number) => region.peers.find((each) => each.storeId === storeId);
  switch (step.kind) {
    case "add-learner":
      return peer(step.storeId)?.id === step.peerId ? 1 : 0;
    case "promote-learner":
      return isStepDone(step, region) ? 1 : 0;
    case "remove-peer":
      return peer(step.storeId)?.id === step.peerId ? 0 : 1;
    case "enter-joint":
    case "leave-joint": {
      const demoted = step.kind === "enter-joint" ? [ROLE.learner, ROLE.demotingVoter] : [ROLE.learner];
      const promoted = step.kind === "enter-joint" ? [ROLE.voter, ROLE.incomingVoter] : [ROLE.voter];
      const done =
        step.promote.every((ref) => promoted.some((role) => role === peer(ref.storeId)?.role)) &&
        // A demoted peer may be removed already.
        step.demote.every((ref) => {
          const found = peer(ref.storeId);
          return found === undefined || demoted.some((role) => role === found.role);
        });
      return done ? step.promote.length + step.demote.length : 0;
    }
    case "transfer-leader":
    case "merge":
    case "split":
      return 0;
  }
}

const FAST_MS = 60_000;
const SLOW_MS = 600_000;

/** By the region's size in MiB: 0.6 s or 6 s for each, but never less than 1 min or 10 min. */
export function stepTimeoutMs(step: Step, sizeMib: number): number {
  const fast = Math.max(FAST_MS, Math.floor(0.6 * sizeMib) * 1_000);
  switch (step.kind) {
    case "add-learner":
      return Math.max(SLOW_MS, 6 * sizeMib * 1_000);
    case "enter-joint":
    case "leave-joint":
      return fast * (step.promote.length + step.demote.length + 1);
    case "merge":
      return fast * 10;
    default:
      return fast;
  }
}
