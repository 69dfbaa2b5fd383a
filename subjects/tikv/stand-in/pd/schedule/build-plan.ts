import type { Peer, Region } from "../regions.ts";
import type { OperatorKind, Plan } from "./operator.ts";
import { isInJointState, ROLE, type PeerRef, type Step } from "./step.ts";
import type { View } from "./view.ts";

export interface Wish {
  readonly desc: string;
  readonly kinds: readonly OperatorKind[];
  /** The peers that the region is to have, by store; those it has by default. */
  readonly peers?: ReadonlyMap<number, "voter" | "learner">;
  /** Store that is to lead; whoever fits by default. */
  readonly leader?: number;
  /** Stores that would do as leader as well as `leader`. */
  readonly leaders?: readonly number[];
  /** Whatever stores usually take: leaders go to `leader` all the same. */
  readonly forceLeader?: boolean;
  readonly priority?: number;
  /** Moves that do not count against stores' limits. */
  readonly light?: boolean;
}

/** What PD says when it cannot make an operator of a wish. */
export class CannotBuild extends Error {}

/**
 * The steps that make a region as wished, as PD orders them (tikv/pd:pkg/schedule/operator/builder.go): peers come as
 * learners; more than one change at once goes through a joint state, unless joint consensus is switched off.
 *
 * @throws CannotBuild
 */
export function buildPlan(view: View, region: Region, wish: Wish): Plan {
  const { leader } = region;
  if (leader === null) throw new CannotBuild("cannot build operator for region with no leader");
  const onlyLeader = wish.peers === undefined;
  if (!onlyLeader && isInJointState(region))
    throw new CannotBuild("cannot build operator for region which is in joint state");
  const change = changesOf(view, region, wish);
  const joint = view.is("enable-joint-consensus") && needsJoint(change);
  const target = targetLeader(view, region, wish, change);
  const { steps, kinds } = (joint ? jointSteps : singleSteps)(region, change, target, wish.leaders ?? []);
  if (steps.length === 0) throw new CannotBuild("no operator step is built");
  const plan = { region, desc: wish.desc, brief: briefOf(region, change, target, wish), steps };
  return {
    ...plan,
    kinds: [...wish.kinds, ...kinds],
    ...(wish.priority === undefined ? {} : { priority: wish.priority }),
  };
}

interface Change {
  readonly add: readonly Peer[];
  readonly remove: readonly Peer[];
  readonly promote: readonly Peer[];
  readonly demote: readonly Peer[];
  /** As it is to be in the end. */
  readonly after: readonly Peer[];
}

interface Built {
  readonly steps: Step[];
  readonly kinds: OperatorKind[];
}

function changesOf(view: View, { peers }: Region, wish: Wish): Change {
  const wanted = wish.peers ?? new Map(peers.map(({ storeId, role }) => [storeId, roleName(role)]));
  if (![...wanted.values()].includes("voter"))
    throw new CannotBuild("cannot create operator: target peers have no voter");
  const had = (storeId: number) => peers.find((peer) => peer.storeId === storeId);
  const add = [...wanted].flatMap(([storeId, role]): Peer[] => {
    if (had(storeId) !== undefined) return [];
    const id = view.options.newPeerId();
    if (id === null) throw new CannotBuild("no id available");
    return [{ id, storeId, role: ROLE[role] }];
  });
  const kept = peers.filter(({ storeId }) => wanted.has(storeId));
  const to = (role: "voter" | "learner") =>
    kept.filter((peer) => wanted.get(peer.storeId) === role && roleName(peer.role) !== role);
  const remove = peers.filter(({ storeId }) => !wanted.has(storeId));
  const after = [...kept.map((peer) => ({ ...peer, role: ROLE[wanted.get(peer.storeId) ?? "voter"] })), ...add];
  return { add: byStore(add), remove: byStore(remove), promote: to("voter"), demote: to("learner"), after };
}

function roleName(role: number): "voter" | "learner" {
  return role === ROLE.learner || role === ROLE.demotingVoter ? "learner" : "voter";
}

function byStore(peers: readonly Peer[]): Peer[] {
  return [...peers].sort((a, b) => a.storeId - b.storeId);
}

/** One change alone needs none; but two voters must not become one in a single step (tikv/pd#4411). */
function needsJoint({ add, remove, promote, demote, after }: Change): boolean {
  return (
    add.length + remove.length + promote.length > 1 || demote.length > 0 || (remove.length === 1 && after.length === 1)
  );
}

function targetLeader(view: View, region: Region, wish: Wish, change: Change): number {
  const current = region.leader?.storeId ?? 0;
  const peer = change.after.find(({ storeId }) => storeId === wish.leader);
  if (wish.leader !== undefined && peer?.role === ROLE.voter) {
    if (wish.forceLeader !== true && !mayLead(view, region, peer))
      throw new CannotBuild("cannot create operator: target leader is not allowed");
    return wish.leader;
  }
  const able = change.after.filter((each) => each.role === ROLE.voter && mayLead(view, region, each));
  const isNew = ({ storeId }: Peer) => change.add.some((added) => added.storeId === storeId);
  const best = able.find(({ storeId }) => storeId === current) ?? able.find((each) => !isNew(each)) ?? able[0];
  if (best === undefined) throw new CannotBuild("no valid leader");
  return best.storeId;
}

function mayLead(view: View, region: Region, peer: Peer): boolean {
  const known = region.peers.find(({ storeId }) => storeId === peer.storeId);
  if (known !== undefined && known.role !== ROLE.learner) return view.canLead(region, known);
  const store = view.byId.get(peer.storeId);
  return store !== undefined && view.canTakeLeader(store);
}

const ref = ({ storeId, id }: Peer): PeerRef => ({ storeId, peerId: id });

function transfer(from: number, to: number, anyOf: readonly number[]): Step {
  return { kind: "transfer-leader", from, to, anyOf };
}

function jointSteps(region: Region, change: Change, target: number, anyOf: readonly number[]): Built {
  const current = region.leader?.storeId ?? 0;
  const { add, remove } = change;
  const steps: Step[] = add.map((peer) => ({ kind: "add-learner", ...ref(peer) }));
  const promote = byStore([...change.promote, ...add.filter(({ role }) => role === ROLE.voter)]).map(ref);
  const demote = byStore([...change.demote, ...remove.filter(({ role }) => role !== ROLE.learner)]).map(ref);
  const enter: Step = { kind: "enter-joint", promote, demote };
  const changed = promote.length + demote.length;
  // The store leaves a joint state of a single change by itself.
  const leave: Step[] = changed > 1 ? [{ kind: "leave-joint", promote, demote }] : [];
  const wasVoter = region.peers.some(({ storeId, role }) => storeId === target && role !== ROLE.learner);
  const staysVoter = change.after.some(({ storeId, role }) => storeId === current && role === ROLE.voter);
  const moves = current !== target ? [transfer(current, target, anyOf)] : [];
  if (changed === 0) steps.push(...moves);
  else if (wasVoter) steps.push(...moves, enter, ...leave);
  else if (staysVoter) steps.push(enter, ...leave, ...moves);
  else steps.push(enter, ...moves, ...(leave.length === 0 ? [] : leave));
  steps.push(...remove.map((peer): Step => ({ kind: "remove-peer", ...ref(peer) })));
  return { steps, kinds: kindsOf(add.length + remove.length > 0, moves.length > 0) };
}

/** One peer after another: first what comes, then what goes, in pairs. */
function singleSteps(region: Region, change: Change, target: number, anyOf: readonly number[]): Built {
  let current = region.leader?.storeId ?? 0;
  // Without a joint state a voter becomes a learner by leaving and coming again.
  const add = [...change.add, ...change.demote.map((peer) => ({ ...peer, role: ROLE.learner }))];
  const remove = [...change.remove, ...change.demote];
  const steps: Step[] = change.promote.map((peer) => ({ kind: "promote-learner", ...ref(peer) }));
  let moved = false;
  const lead = (to: number) => {
    if (to === current) return;
    steps.push(transfer(current, to, to === target ? anyOf : []));
    [current, moved] = [to, true];
  };
  for (let at = 0; at < Math.max(add.length, remove.length); at++) {
    const [comes, goes] = [add[at], remove[at]];
    const isDemoted = goes !== undefined && change.demote.includes(goes);
    if (comes !== undefined && !isDemoted) {
      steps.push({ kind: "add-learner", ...ref(comes) });
      if (comes.role === ROLE.voter) steps.push({ kind: "promote-learner", ...ref(comes) });
    }
    if (goes !== undefined) {
      if (goes.storeId === current) lead(target);
      steps.push({ kind: "remove-peer", ...ref(goes) });
      if (comes !== undefined && isDemoted) steps.push({ kind: "add-learner", ...ref(comes) });
    }
  }
  lead(target);
  return { steps, kinds: kindsOf(add.length + remove.length > 0, moved) };
}

function kindsOf(movesPeers: boolean, movesLeader: boolean): OperatorKind[] {
  return [...(movesPeers ? (["region"] as const) : []), ...(movesLeader ? (["leader"] as const) : [])];
}

function briefOf(region: Region, { add, remove, promote, demote }: Change, target: number, wish: Wish): string {
  const list = (peers: readonly Peer[]) => `[${peers.map(({ storeId }) => storeId).join(" ")}]`;
  const current = region.leader?.storeId ?? 0;
  if (add.length > 0 && remove.length > 0)
    return `${wish.light === true ? "mv light peer" : "mv peer"}: store ${list(remove)} to ${list(add)}`;
  if (add.length > 0) return `add peer: store ${list(add)}`;
  if (remove.length > 0) return `rm peer: store ${list(remove)}`;
  if (promote.length > 0) return `promote peer: store ${list(promote)}`;
  if (demote.length > 0) return `demote peer: store ${list(demote)}`;
  if (wish.leaders !== undefined && wish.leaders.length > 0)
    return `evict leader: from store ${current} to one in [${wish.leaders.join(" ")}], or to ${target} (for compatibility)`;
  return `transfer leader: store ${current} to ${target}`;
}
