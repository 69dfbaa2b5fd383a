import { heardFromNobody, peerToWire, regionToWire, type Peer, type Region } from "../regions.ts";
import { bestReplica, canElect, overlaps, type PeerReport, type Picture } from "./report.ts";

/** What one store is to do. */
export interface StorePlan {
  creates: Region[];
  tombstones: number[];
  demotes: { readonly regionId: number; readonly failed: readonly Peer[] }[];
  /** Null: step down wherever it was forced to lead. */
  forceLeader: { readonly failedStores: readonly number[]; readonly regions: number[] } | null;
}

export function emptyPlan(): StorePlan {
  return { creates: [], tombstones: [], demotes: [], forceLeader: null };
}

export type Plans = Map<number, StorePlan>;

export interface PlanInput {
  readonly picture: Picture;
  readonly reports: ReadonlyMap<number, readonly PeerReport[]>;
  readonly failedStores: ReadonlySet<number>;
  isFailed(peer: Peer): boolean;
}

function planOf(plans: Plans, storeId: number): StorePlan {
  const found = plans.get(storeId) ?? emptyPlan();
  plans.set(storeId, found);
  return found;
}

/**
 * Regions without a living majority get a leader by force: the replica that knows most.
 *
 * @throws Error when a region has no replica to lead
 */
export function planForceLeaders(input: PlanInput, forCommitMerge: boolean): Plans {
  const { picture, isFailed, failedStores, reports } = input;
  const plans: Plans = new Map();
  for (const { region, hasCommitMerge } of picture.newest) {
    const all = picture.byRegion.get(region.id) ?? [];
    if (canElect(region, isFailed, false) || all.some(({ isForceLeader }) => isForceLeader)) continue;
    if (hasCommitMerge !== forCommitMerge) continue;
    const best = bestReplica(all);
    if (best === undefined) throw new Error(`can't select leader for region ${region.id}`);
    const plan = planOf(plans, best.storeId);
    const failed = new Set([...failedStores, ...best.region.peers.filter(isFailed).map(({ storeId }) => storeId)]);
    plan.forceLeader = {
      failedStores: [...failed],
      regions: [...(plan.forceLeader?.regions ?? []), region.id],
    };
  }
  // An order without any would end those that lead by force already.
  if (plans.size > 0)
    for (const storeId of reports.keys()) planOf(plans, storeId).forceLeader ??= { failedStores: [], regions: [] };
  return plans;
}

/** Leaders by force demote the voters that are gone; replicas that fit nowhere are dropped. */
export function planDemotions({ picture, reports, isFailed }: PlanInput): Plans {
  const plans: Plans = new Map();
  for (const { region } of picture.newest) {
    if (canElect(region, isFailed, false)) continue;
    const leader = picture.byRegion.get(region.id)?.find(({ isForceLeader }) => isForceLeader);
    if (leader === undefined) continue;
    const failed = canElect(leader.region, isFailed, true) ? [] : leader.region.peers.filter(isFailed);
    planOf(plans, leader.storeId).demotes.push({ regionId: region.id, failed });
  }
  const standing = new Set(picture.newest.map(({ region }) => region.id));
  for (const [storeId, own] of reports)
    for (const { region } of own)
      if (!standing.has(region.id) && !canElect(region, isFailed, false))
        planOf(plans, storeId).tombstones.push(region.id);
  return plans;
}

/**
 * Ranges that nobody holds any more become empty regions.
 *
 * @throws Error when some replica still holds part of one
 */
export async function planEmptyRegions({ picture, reports }: PlanInput, newId: () => Promise<number>): Promise<Plans> {
  const plans: Plans = new Map();
  const holes: { readonly startKey: string; readonly endKey: string; readonly storeId: number }[] = [];
  let end = "";
  let last = [...reports.keys()][0] ?? 0;
  for (const { region, storeId } of picture.newest) {
    if (region.startKey !== end) holes.push({ startKey: end, endKey: region.startKey, storeId });
    [end, last] = [region.endKey, storeId];
  }
  if (end !== "" || picture.newest.length === 0) holes.push({ startKey: end, endKey: "", storeId: last });
  for (const { startKey, endKey, storeId } of holes) {
    const region = emptyRegion(await newId(), await newId(), storeId, startKey, endKey);
    const owner = [...picture.byRegion.values()].flat().find((report) => holds(report, region));
    if (owner !== undefined)
      throw new Error(`Find overlap peer ${owner.region.id} with newly created empty region ${region.id}`);
    planOf(plans, storeId).creates.push(region);
  }
  return plans;
}

function holds({ region }: PeerReport, empty: Region): boolean {
  return region.peers.length > 0 && overlaps(region, empty);
}

function emptyRegion(id: number, peerId: number, storeId: number, startKey: string, endKey: string): Region {
  const peers = [{ id: peerId, storeId, role: 0 }];
  return { ...heardFromNobody, id, startKey, endKey, confVer: 1, version: 1, peers };
}

/** An order that ends what was forced. */
export function planExits({ reports }: PlanInput): Plans {
  const forced = [...reports].filter(([, own]) => own.some(({ isForceLeader }) => isForceLeader));
  return new Map(forced.map(([storeId]) => [storeId, emptyPlan()]));
}

/** pdpb.RecoveryPlan */
export function planToWire({ creates, tombstones, demotes, forceLeader }: StorePlan, step: number) {
  return {
    creates: creates.map(regionToWire),
    tombstones: tombstones.map(String),
    demotes: demotes.map(({ regionId, failed }) => ({
      region_id: String(regionId),
      failed_voters: failed.map(peerToWire),
    })),
    ...(forceLeader === null
      ? {}
      : {
          force_leader: {
            failed_stores: forceLeader.failedStores.map(String),
            enter_force_leaders: forceLeader.regions.map(String),
          },
        }),
    step: String(step),
  };
}
