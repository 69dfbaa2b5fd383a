import { isSatisfied, type RegionFit, type RuleFit } from "../placement/region-fit.ts";
import type { Peer, Region } from "../regions.ts";
import { buildPlan } from "./build-plan.ts";
import { PRIORITY, type Plan } from "./operator.ts";
import { storeToAdd, storeToRemove } from "./select-store.ts";
import { ROLE } from "./step.ts";
import type { View } from "./view.ts";
import { addPeer, movePeer, peersOf, planOrNull, removePeer } from "./wishes.ts";

/** Counts `pd_checker_event_count{type="rule_checker"}`. */
export type CountEvent = (name: string) => void;

/**
 * What one region needs to be as the placement rules ask, or null: nobody too many, nobody missing, nobody on a store
 * that goes or is down for good, the right roles, well apart (tikv/pd:pkg/schedule/checker/rule_checker.go).
 */
export function checkRules(view: View, region: Region, count: CountEvent): Plan | null {
  if (region.leader === null) {
    count("region-no-leader");
    return null;
  }
  count("check");
  const fit = view.fit(region);
  if (fit.fits.length === 0) {
    count("need-split");
    return null;
  }
  const orphan = fixOrphans(view, region, fit, count);
  if (orphan !== null) return orphan;
  for (const ruleFit of fit.fits) {
    const plan = fixRule(view, region, ruleFit, count);
    if (plan !== null) return plan;
  }
  return null;
}

/** Peers that no rule asks for go when all that are asked for are well; of two or more a sick one goes at once. */
function fixOrphans(view: View, region: Region, { fits, orphans }: RegionFit, count: CountEvent): Plan | null {
  const first = orphans[0];
  if (first === undefined) return null;
  const isSick = ({ id }: Peer) =>
    region.pendingPeers.some((peer) => peer.id === id) || region.downPeers.some(({ peer }) => peer.id === id);
  const allWell = fits.every((fit) => isSatisfied(fit) && !fit.peers.some(isSick));
  const healthy = orphans.filter((peer) => !isSick(peer));
  const gone = allWell ? first : orphans.length < 2 ? undefined : (orphans.find(isSick) ?? healthy[1]);
  if (gone === undefined) {
    count("skip-remove-orphan-peer");
    return null;
  }
  count("remove-orphan-peer");
  return planOrNull(() => removePeer(view, region, gone.storeId, { desc: "remove-orphan-peer", kinds: [] }));
}

function fixRule(view: View, region: Region, fit: RuleFit, count: CountEvent): Plan | null {
  const { rule, peers } = fit;
  const role = rule.role === "learner" ? "learner" : "voter";
  if (peers.length < rule.count) {
    count("add-rule-peer");
    const store = storeToAdd(view, region, rule, metas(view, peers));
    if (store === null) {
      count("no-store-add");
      return null;
    }
    const wish = { desc: "add-rule-peer", kinds: ["replica"], priority: PRIORITY.high } as const;
    return planOrNull(() => addPeer(view, region, store.meta.id, role, wish));
  }
  for (const peer of peers) {
    const store = view.byId.get(peer.storeId);
    const isDown = region.downPeers.some((down) => down.peer.id === peer.id);
    // A leader finds a peer silent, and PD has not heard of its store for long enough: both.
    if (isDown && store?.stateName === "Down") {
      count("replace-down");
      return replace(view, region, fit, peer, "down", count);
    }
    if (store !== undefined && store.meta.state !== 0) {
      count("replace-offline");
      return replace(view, region, fit, peer, "offline", count);
    }
  }
  for (const peer of fit.otherRole) {
    const plan = fixRole(view, region, fit, peer, count);
    if (plan !== null) return plan;
  }
  return view.is("enable-location-replacement") ? improveLocation(view, region, fit, count) : null;
}

function replace(view: View, region: Region, fit: RuleFit, peer: Peer, why: string, count: CountEvent): Plan | null {
  const others = fit.peers.filter(({ id }) => id !== peer.id);
  const store = storeToAdd(view, region, fit.rule, metas(view, others));
  if (store === null) {
    count("no-store-replace");
    return null;
  }
  const leads = region.leader?.id === peer.id;
  const heir = leads ? fewestLeaders(view, region, peer) : undefined;
  const desc = heir === undefined ? `replace-rule-${why}-peer` : `replace-rule-${why}-leader-peer`;
  const wish = { desc, kinds: ["replica"], priority: PRIORITY.high } as const;
  return planOrNull(() =>
    movePeer(view, region, peer.storeId, store.meta.id, heir === undefined ? wish : { ...wish, leader: heir.storeId }),
  );
}

function fewestLeaders(view: View, region: Region, except: Peer): Peer | undefined {
  const leaders = ({ storeId }: Peer) =>
    (view.byId.get(storeId)?.leaderCount ?? 0) + view.influence.get(storeId).leaders;
  return region.peers
    .filter((peer) => peer.id !== except.id && view.canLead(region, peer))
    .sort((a, b) => leaders(a) - leaders(b))[0];
}

function fixRole(view: View, region: Region, { rule }: RuleFit, peer: Peer, count: CountEvent): Plan | null {
  const leads = region.leader?.id === peer.id;
  if (peer.role === ROLE.learner && rule.role !== "learner") {
    count("fix-peer-role");
    if (region.pendingPeers.some(({ id }) => id === peer.id)) return null;
    const peers = peersOf(region).set(peer.storeId, "voter");
    return planOrNull(() => buildPlan(view, region, { desc: "fix-peer-role", kinds: [], peers }));
  }
  if (!leads && rule.role === "leader") {
    count("fix-leader-role");
    if (!view.canLead(region, peer)) {
      count("not-allow-leader");
      return null;
    }
    return planOrNull(() => buildPlan(view, region, { desc: "fix-leader-role", kinds: [], leader: peer.storeId }));
  }
  if (leads && rule.role === "follower") {
    count("fix-follower-role");
    const heir = fewestLeaders(view, region, peer);
    if (heir === undefined) {
      count("no-new-leader");
      return null;
    }
    return planOrNull(() => buildPlan(view, region, { desc: "fix-follower-role", kinds: [], leader: heir.storeId }));
  }
  if (peer.role === ROLE.voter && rule.role === "learner") {
    count("demote-voter-role");
    const peers = peersOf(region).set(peer.storeId, "learner");
    return planOrNull(() => buildPlan(view, region, { desc: "fix-demote-voter", kinds: [], peers }));
  }
  return null;
}

function improveLocation(view: View, region: Region, { rule, peers }: RuleFit, count: CountEvent): Plan | null {
  if (rule.locationLabels.length === 0 || rule.count <= 1) return null;
  const worst = storeToRemove(
    view,
    rule,
    peers.flatMap(({ storeId }) => view.byId.get(storeId) ?? []),
  );
  if (worst === null) return null;
  const others = metas(
    view,
    peers.filter(({ storeId }) => storeId !== worst.meta.id),
  );
  const better = storeToAdd(view, region, rule, others, worst.meta);
  if (better === null) return null;
  count("move-to-better-location");
  const wish = { desc: "move-to-better-location", kinds: ["replica"] } as const;
  return planOrNull(() => movePeer(view, region, worst.meta.id, better.meta.id, wish));
}

function metas(view: View, peers: readonly Peer[]) {
  return peers.flatMap(({ storeId }) => view.byId.get(storeId)?.meta ?? []);
}

/** A region that somebody left in the joint state leaves it (tikv/pd:pkg/schedule/checker/joint_state_checker.go). */
export function leaveJointState(view: View, region: Region, count: CountEvent): Plan | null {
  count("check");
  const refs = (role: number) =>
    region.peers.filter((peer) => peer.role === role).map(({ storeId, id }) => ({ storeId, peerId: id }));
  const [promote, demote] = [refs(ROLE.incomingVoter), refs(ROLE.demotingVoter)];
  const { leader } = region;
  if (leader === null || promote.length + demote.length === 0) return null;
  const desc = "leave-joint-state";
  const leave = { kind: "leave-joint", promote, demote } as const;
  const brief = promote.length > 0 ? `promote peer: store [${promote.map(({ storeId }) => storeId).join(" ")}]` : "";
  if (demote.every(({ storeId }) => storeId !== leader.storeId)) {
    count("new-operator");
    return { region, desc, brief, kinds: [], steps: [leave], priority: PRIORITY.high };
  }
  const heir = region.peers.find((peer) => peer.storeId !== leader.storeId && view.canLead(region, peer));
  if (heir === undefined) {
    count("create-operator-fail");
    return null;
  }
  count("transfer-leader");
  count("new-operator");
  const hand = { kind: "transfer-leader", from: leader.storeId, to: heir.storeId, anyOf: [] } as const;
  return { region, desc, brief, kinds: ["leader"], steps: [hand, leave], priority: PRIORITY.high };
}
