import { storeNotFound, type Cluster } from "../cluster.ts";
import { PdRefusal } from "../pd-refusal.ts";
import type { Region } from "../regions.ts";
import { buildPlan, CannotBuild } from "../schedule/build-plan.ts";
import type { Coordinator } from "../schedule/coordinator.ts";
import type { Plan } from "../schedule/operator.ts";
import { addPeer, mergePlans, movePeer, removePeer, splitPlan } from "../schedule/wishes.ts";

type Input = Readonly<Record<string, unknown>>;

interface Deps {
  readonly cluster: Cluster;
  readonly coordinator: Coordinator;
}

/** Reads its input, then makes the operators that are asked for. @throws PdRefusal 400 for bad input, 500 for the rest */
type Maker = (input: Input, deps: Deps) => () => readonly Plan[];

const KIND = ["admin"] as const;

const MAKERS: Readonly<Record<string, Maker>> = {
  "transfer-leader": (input, deps) => {
    const id = number(input, "region_id", "missing region id");
    const leader = number(input, "to_store_id", "missing store id to transfer leader to");
    return () => {
      const region = regionOf(deps, id);
      if (region.peers.every(({ storeId, role }) => storeId !== leader || role === 1))
        throw new PdRefusal(500, `region has no voter in store ${leader}`);
      return [buildPlan(deps.coordinator.view(), region, { desc: "admin-transfer-leader", kinds: KIND, leader })];
    };
  },
  "transfer-region": (input, deps) => {
    const id = number(input, "region_id", "missing region id");
    const roles = storesAndRoles(input);
    return () => [moveRegion(deps, regionOf(deps, id), roles)];
  },
  "transfer-peer": (input, deps) => {
    const id = number(input, "region_id", "missing region id");
    const from = number(input, "from_store_id", "invalid store id to transfer peer from");
    const to = number(input, "to_store_id", "invalid store id to transfer peer to");
    return () => {
      const region = regionOf(deps, id);
      demandPeer(region, from);
      demandHealthy(deps, to);
      if (region.peers.some(({ storeId }) => storeId === to)) throw alreadyThere(to);
      return [movePeer(deps.coordinator.view(), region, from, to, { desc: "admin-move-peer", kinds: KIND })];
    };
  },
  "add-peer": (input, deps) => adding(input, deps, "voter"),
  "add-learner": (input, deps) => adding(input, deps, "learner"),
  "remove-peer": (input, deps) => {
    const id = number(input, "region_id", "missing region id");
    const from = number(input, "store_id", "invalid store id to transfer peer to");
    return () => {
      const region = regionOf(deps, id);
      demandPeer(region, from);
      return [removePeer(deps.coordinator.view(), region, from, { desc: "admin-remove-peer", kinds: KIND })];
    };
  },
  "merge-region": (input, deps) => {
    const sourceId = number(input, "source_region_id", "missing region id");
    const targetId = number(input, "target_region_id", "invalid target region id to merge to");
    return () => {
      const [source, target] = [regionOf(deps, sourceId), regionOf(deps, targetId)];
      const view = deps.coordinator.view();
      for (const region of [source, target])
        if (!view.isHealthy(region) || !view.isReplicated(region))
          throw new PdRefusal(500, `[PD:region:ErrRegionAbnormalPeer]region ${region.id} has abnormal peer`);
      const touch =
        (source.startKey !== "" && source.startKey === target.endKey) ||
        (source.endKey !== "" && source.endKey === target.startKey);
      if (!touch) throw new PdRefusal(500, "[PD:region:ErrRegionNotAdjacent]two regions are not adjacent");
      return mergePlans(view, source, target, "admin-merge-region", KIND);
    };
  },
  "split-region": (input, deps) => {
    const id = number(input, "region_id", "missing region id");
    const policy = input["policy"];
    if (typeof policy !== "string") throw new PdRefusal(400, "missing split policy");
    const keys = splitKeys(input["keys"]);
    return () => [splitOf(regionOf(deps, id), policy, keys)];
  },
  "scatter-region": (input, deps) => {
    const id = number(input, "region_id", "missing region id");
    const group = typeof input["group"] === "string" ? input["group"] : "";
    return () => {
      if (deps.coordinator.scatter([regionOf(deps, id)], group).failed > 0) throw notAdded();
      return [];
    };
  },
};

/** @returns what is answered besides, or null. @throws PdRefusal */
export function createOperator(cluster: Cluster, coordinator: Coordinator, input: Input): object | null {
  const { name } = input;
  if (typeof name !== "string") throw new PdRefusal(400, "missing operator name");
  if (name === "scatter-regions") return scatterRegions({ cluster, coordinator }, input);
  const make = MAKERS[name];
  if (make === undefined) throw new PdRefusal(400, "unknown operator");
  // Bad input is told before the region is looked up.
  const plans = make(input, { cluster, coordinator });
  try {
    const made = plans();
    if (made.length > 0 && !coordinator.start(...made)) throw notAdded();
    return null;
  } catch (error) {
    throw error instanceof CannotBuild ? new PdRefusal(500, error.message) : error;
  }
}

function scatterRegions({ cluster, coordinator }: Deps, input: Input): object {
  const { region_ids: ids, start_key: start, end_key: end } = input;
  const group = typeof input["group"] === "string" ? input["group"] : "";
  if (ids !== undefined && !isIds(ids)) throw new PdRefusal(400, "region_ids is invalid");
  const regions =
    typeof start === "string" && typeof end === "string" && start !== "" && end !== ""
      ? cluster.regions.scan(start.toLowerCase(), end.toLowerCase(), 0)
      : (isIds(ids) ? ids : []).flatMap((id) => cluster.regions.get(id) ?? []);
  const { failed, done } = coordinator.scatter(regions, group);
  const percentage = failed === 0 ? 100 : 100 - Math.floor((100 * failed) / (failed + done));
  return { "processed-percentage": percentage, error: "" };
}

export function isIds(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((id) => typeof id === "number");
}

function adding(input: Input, deps: Deps, role: "voter" | "learner"): () => readonly Plan[] {
  const id = number(input, "region_id", "missing region id");
  const to = number(input, "store_id", "invalid store id to transfer peer to");
  const desc = role === "voter" ? "admin-add-peer" : "admin-add-learner";
  return () => {
    const region = regionOf(deps, id);
    if (region.peers.some(({ storeId }) => storeId === to)) throw alreadyThere(to);
    demandHealthy(deps, to);
    return [addPeer(deps.coordinator.view(), region, to, role, { desc, kinds: KIND })];
  };
}

function moveRegion(deps: Deps, region: Region, roles: ReadonlyMap<number, string>): Plan {
  if ([...roles.values()].some((role) => role === "")) {
    const why = "transfer region without peer role is not supported when placement rules enabled";
    throw new PdRefusal(500, why);
  }
  for (const storeId of roles.keys()) demandHealthy(deps, storeId);
  const leaders = [...roles].filter(([, role]) => role === "leader").map(([storeId]) => storeId);
  if (leaders.length > 1) throw new PdRefusal(500, "region cannot have multiple leaders");
  if (![...roles.values()].some((role) => role === "leader" || role === "voter"))
    throw new PdRefusal(500, "region need at least 1 voter or leader");
  const peers = new Map([...roles].map(([id, role]) => [id, role === "learner" ? "learner" : "voter"] as const));
  const wish = { desc: "admin-move-region", kinds: KIND, peers };
  const [leader] = leaders;
  return buildPlan(deps.coordinator.view(), region, leader === undefined ? wish : { ...wish, leader });
}

function storesAndRoles(input: Input): ReadonlyMap<number, string> {
  const { to_store_ids: ids, peer_roles: roles } = input;
  if (!isIds(ids)) throw new PdRefusal(400, "invalid store ids to transfer region to");
  if (ids.length === 0) throw new PdRefusal(400, "missing store ids to transfer region to");
  const given = Array.isArray(roles) && roles.length === ids.length ? roles : [];
  return new Map(ids.map((id, at) => [id, typeof given[at] === "string" ? given[at] : ""]));
}

function splitKeys(keys: unknown): string[] {
  if (keys === undefined) return [];
  if (!Array.isArray(keys) || keys.some((key) => typeof key !== "string")) throw new PdRefusal(400, "bad format keys");
  return keys as string[];
}

function splitOf(region: Region, policy: string, keys: readonly string[]): Plan {
  const wanted = policy.toUpperCase();
  if (wanted !== "SCAN" && wanted !== "APPROXIMATE" && wanted !== "USEKEY")
    throw new PdRefusal(500, `check policy ${policy} is not supported`);
  const strange = wanted === "USEKEY" ? keys.find((key) => !/^([0-9a-f]{2})*$/i.test(key)) : undefined;
  if (strange !== undefined) throw new PdRefusal(500, `split key ${strange} is not in hex format`);
  const used = wanted === "USEKEY" ? keys.map((key) => key.toLowerCase()) : [];
  return splitPlan(region, "admin-split-region", wanted, used, KIND);
}

function number(input: Input, key: string, missing: string): number {
  const value = input[key];
  if (typeof value !== "number") throw new PdRefusal(400, missing);
  return value;
}

function regionOf({ cluster }: Deps, id: number): Region {
  const region = cluster.regions.get(id);
  if (region === undefined) throw new PdRefusal(500, `[PD:region:ErrRegionNotFound]region ${id} not found`);
  return region;
}

function demandPeer(region: Region, storeId: number): void {
  if (region.peers.every((peer) => peer.storeId !== storeId))
    throw new PdRefusal(500, `region has no peer in store ${storeId}`);
}

function alreadyThere(storeId: number): PdRefusal {
  return new PdRefusal(500, `region already has peer in store ${storeId}`);
}

function notAdded(): PdRefusal {
  return new PdRefusal(500, "[PD:schedule:ErrAddOperator]failed to add operator, maybe already have one");
}

/** @throws PdRefusal 500 when the store is unknown, gone or silent for more than 10 min */
function demandHealthy({ cluster }: Deps, id: number): void {
  const store = cluster.stores().find(({ meta }) => meta.id === id);
  if (store === undefined) throw new PdRefusal(500, storeNotFound(id).body);
  if (store.meta.state === 2) throw new PdRefusal(500, `[PD:core:ErrStoreRemoved]store ${id} has been removed`);
  if (store.unhealthy) throw new PdRefusal(500, `[PD:core:ErrStoreUnhealthy]store ${id} is unhealthy`);
}
