import { seededRandom } from "../../harness/base/random.ts";
import {
  defaultReplication,
  defaultSchedule,
  type ConfigSection,
} from "../../subjects/tikv/stand-in/pd/default-config.ts";
import { defaultRule, type Rule } from "../../subjects/tikv/stand-in/pd/placement/rule.ts";
import { heardFromNobody, type Peer, type Region } from "../../subjects/tikv/stand-in/pd/regions.ts";
import { Influence } from "../../subjects/tikv/stand-in/pd/schedule/influence.ts";
import type { Operator, Plan } from "../../subjects/tikv/stand-in/pd/schedule/operator.ts";
import { stepText } from "../../subjects/tikv/stand-in/pd/schedule/step.ts";
import { View, type ViewOptions } from "../../subjects/tikv/stand-in/pd/schedule/view.ts";
import { initialState, type StoreMeta } from "../../subjects/tikv/stand-in/pd/state.ts";
import { viewStores, type HeardStore, type StoreStats } from "../../subjects/tikv/stand-in/pd/stores.ts";

const GIB = 2 ** 30;
export const NOW = 1_700_000_000_000;

export interface SceneStore extends Partial<StoreMeta>, Partial<Omit<StoreStats, "startTime">> {
  readonly id: number;
  /** s */
  readonly silent?: number;
}

/** Stores are numbered, the first of a region's leads; peers' ids are region * 10 + store. */
export interface SceneRegion extends Partial<Omit<Region, "peers" | "downPeers" | "pendingPeers">> {
  readonly voters: readonly number[];
  readonly learners?: readonly number[];
  /** Stores whose peers are silent or behind. */
  readonly down?: readonly number[];
  readonly pending?: readonly number[];
}

export interface Scene extends Partial<Pick<ViewOptions, "rejecting" | "keeping" | "isOpen" | "heat">> {
  readonly stores: readonly (number | SceneStore)[];
  readonly regions: readonly SceneRegion[];
  readonly schedule?: ConfigSection;
  readonly replication?: ConfigSection;
  readonly rules?: readonly Partial<Rule>[];
  readonly operators?: readonly Operator[];
}

/** What schedulers and checkers see of a cluster that is told in a few words. */
export function viewOf({ stores, regions, schedule, replication, rules, operators = [], ...more }: Scene): View {
  const own = { ...defaultSchedule, ...schedule };
  const metas = stores.map((store) => metaOf(typeof store === "number" ? { id: store } : store));
  const heard = new Map<number, HeardStore>(
    stores.map((store): [number, HeardStore] => {
      const one: SceneStore = typeof store === "number" ? { id: store } : store;
      return [one.id, { atMs: NOW - (one.silent ?? 0) * 1_000, stats: { ...healthy, ...one } }];
    }),
  );
  const all = regions.map(regionOf);
  const state = { ...initialState([]), stores: metas, schedule: own };
  const base = defaultRule({ ...defaultReplication, ...replication });
  let id = 1_000;
  return new View({
    nowMs: NOW,
    random: seededRandom("scene"),
    regions: all,
    stores: viewStores(state, heard, all, NOW, 1),
    schedule: own,
    rules: rules?.map((rule) => ({ ...base, ...rule })) ?? [base],
    influence: new Influence(),
    operators,
    rejecting: new Set(),
    keeping: new Set(),
    isOpen: () => true,
    heat: () => 0,
    newPeerId: () => ++id,
    ...more,
  });
}

const healthy: StoreStats = {
  capacity: 100 * GIB,
  available: 90 * GIB,
  usedSize: 1,
  sendingSnapCount: 0,
  receivingSnapCount: 0,
  isBusy: false,
  slowScore: 1,
  isStopping: false,
  startTime: 0,
  intervalMs: 10_000,
  bytesWritten: 0,
  bytesRead: 0,
  keysWritten: 0,
  keysRead: 0,
  queriesWritten: 0,
  queriesRead: 0,
  cpuUsage: 0,
  reads: [],
};

function metaOf(store: SceneStore): StoreMeta {
  return {
    address: `tikv${store.id}:20160`,
    statusAddress: "",
    peerAddress: "",
    version: "8.5.7",
    gitHash: "",
    deployPath: "",
    startTimestamp: 0,
    labels: [],
    state: 0,
    nodeState: 1,
    physicallyDestroyed: false,
    lastHeartbeatMs: NOW,
    leaderWeight: 1,
    regionWeight: 1,
    limit: { "add-peer": 15, "remove-peer": 15 },
    ...store,
  };
}

function regionOf({ voters, learners = [], down = [], pending = [], ...more }: SceneRegion, at: number): Region {
  const id = more.id ?? at + 1;
  const peers = [
    ...voters.map((storeId): Peer => ({ id: id * 10 + storeId, storeId, role: 0 })),
    ...learners.map((storeId): Peer => ({ id: id * 10 + storeId, storeId, role: 1 })),
  ];
  const on = (stores: readonly number[]) => peers.filter(({ storeId }) => stores.includes(storeId));
  return {
    ...heardFromNobody,
    id,
    startKey: at === 0 ? "" : at.toString(16).padStart(4, "0"),
    endKey: (at + 1).toString(16).padStart(4, "0"),
    confVer: 5,
    version: 5,
    peers,
    leader: peers[0] ?? null,
    approximateSize: 10,
    approximateKeys: 1_000,
    downPeers: on(down).map((peer) => ({ peer, downSeconds: 3_600 })),
    pendingPeers: on(pending),
    ...more,
  };
}

/** `desc: step, step`, as /operators words the steps; null for none. */
export function inWords(plan: Plan | null | undefined): string | null {
  return plan === null || plan === undefined ? null : `${plan.desc}: ${plan.steps.map(stepText).join("; ")}`;
}
