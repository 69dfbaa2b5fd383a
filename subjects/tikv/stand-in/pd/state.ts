import { defaultReplication, defaultSchedule, type ConfigSection } from "./default-config.ts";
import { defaultRule, labelsOf, type Rule } from "./placement/rule.ts";

/** metapb.Store, as it is kept and replicated. Times: `startTimestamp` in s, `lastHeartbeatMs` in ms. */
export interface StoreMeta {
  readonly id: number;
  readonly address: string;
  readonly statusAddress: string;
  readonly peerAddress: string;
  readonly version: string;
  readonly gitHash: string;
  readonly deployPath: string;
  readonly startTimestamp: number;
  readonly labels: readonly { readonly key: string; readonly value: string }[];
  /** Up 0, Offline 1, Tombstone 2. */
  readonly state: 0 | 1 | 2;
  /** Preparing 0, Serving 1, Removing 2, Removed 3. */
  readonly nodeState: 0 | 1 | 2 | 3;
  readonly physicallyDestroyed: boolean;
  /** As last persisted: up to five minutes old, which is what a new leader starts from. */
  readonly lastHeartbeatMs: number;
  readonly leaderWeight: number;
  readonly regionWeight: number;
  readonly limit: { readonly "add-peer": number; readonly "remove-peer": number };
}

export interface MemberMeta {
  readonly name: string;
  /** Decimal uint64. */
  readonly id: string;
  readonly raftId: number;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly leaderPriority: number;
}

export interface StoreScheduler {
  readonly name: string;
  readonly storeIds: readonly number[];
}

/** Of evict-slow-store-scheduler: `stores` are those whose leaders are being moved away. */
export interface SlowStoreConfig {
  readonly recoverySec: number;
  readonly batch: number;
  readonly stores: readonly number[];
}

/** A setting that counts until then. */
export interface TemporaryItem {
  readonly value: string;
  readonly untilMs: number;
}

/** Timestamps as decimal uint64. */
export interface SafePoints {
  readonly gc: string;
  readonly external: string;
  readonly services: readonly { readonly id: string; readonly safePoint: string; readonly expiresAtS: number }[];
}

/** What all members agree on. Plain JSON: it is its own snapshot. */
export interface ClusterState {
  /** Decimal uint64; empty until the first leader has drawn one. */
  readonly clusterId: string;
  /** Name of the member that holds the leader key; null = free. */
  readonly leader: string | null;
  readonly members: readonly MemberMeta[];
  readonly bootstrappedAtMs: number | null;
  readonly stores: readonly StoreMeta[];
  /** No id up to here is given out again. */
  readonly idsUpTo: number;
  /** No timestamp up to here is given out again, in ms. */
  readonly tsoUpTo: number;
  readonly schedule: ConfigSection;
  readonly replication: ConfigSection;
  /** By full name (`schedule.leader-schedule-limit`): settings that end by themselves. */
  readonly temporary: Readonly<Record<string, TemporaryItem>>;
  /** Empty until the first store has come. */
  readonly clusterVersion: string;
  readonly rules: readonly Rule[];
  readonly slowStore: SlowStoreConfig;
  readonly safePoints: SafePoints;
  readonly schedulers: readonly string[];
  readonly storeSchedulers: readonly StoreScheduler[];
}

/** Changes; each carries its result, so that applying one is a plain assignment on every member. */
export type Command =
  | { readonly kind: "init"; readonly clusterId: string }
  | { readonly kind: "lead"; readonly name: string | null }
  | { readonly kind: "member"; readonly member: MemberMeta }
  | { readonly kind: "remove-member"; readonly name: string }
  | { readonly kind: "bootstrap"; readonly store: StoreMeta; readonly atMs: number }
  | { readonly kind: "put-store"; readonly store: StoreMeta }
  | { readonly kind: "forget-store"; readonly id: number }
  | { readonly kind: "ids"; readonly upTo: number }
  | { readonly kind: "tso"; readonly upTo: number }
  | {
      readonly kind: "config";
      readonly section: "schedule" | "replication";
      readonly values: ConfigSection;
    }
  | { readonly kind: "temporary"; readonly items: Readonly<Record<string, TemporaryItem | null>> }
  | { readonly kind: "cluster-version"; readonly version: string }
  | { readonly kind: "rules"; readonly rules: readonly Rule[] }
  | { readonly kind: "slow-store"; readonly config: SlowStoreConfig }
  | { readonly kind: "safe-points"; readonly safePoints: SafePoints }
  | {
      readonly kind: "schedulers";
      readonly schedulers: readonly string[];
      readonly storeSchedulers: readonly StoreScheduler[];
    };

export const DEFAULT_SCHEDULERS = [
  "balance-region-scheduler",
  "balance-leader-scheduler",
  "balance-hot-region-scheduler",
  "evict-slow-store-scheduler",
  "evict-stopping-store-scheduler",
] as const;

export function initialState(members: readonly MemberMeta[]): ClusterState {
  return {
    clusterId: "",
    leader: null,
    members,
    bootstrappedAtMs: null,
    stores: [],
    idsUpTo: 0,
    tsoUpTo: 0,
    schedule: defaultSchedule,
    replication: defaultReplication,
    temporary: {},
    clusterVersion: "",
    rules: [defaultRule(defaultReplication)],
    slowStore: { recoverySec: 1_800, batch: 3, stores: [] },
    safePoints: { gc: "0", external: "0", services: [] },
    schedulers: DEFAULT_SCHEDULERS,
    storeSchedulers: [],
  };
}

/** Pure: every member that applies the same commands has the same state. */
export function applyCommand(state: ClusterState, command: Command): ClusterState {
  switch (command.kind) {
    case "init":
      return state.clusterId === "" ? { ...state, clusterId: command.clusterId } : state;
    case "lead":
      return { ...state, leader: command.name };
    case "member":
      return { ...state, members: replaced(state.members, command.member, ({ name }) => name) };
    case "remove-member":
      return { ...state, members: state.members.filter(({ name }) => name !== command.name) };
    case "bootstrap":
      if (state.bootstrappedAtMs !== null) return state;
      return { ...state, bootstrappedAtMs: command.atMs, stores: [command.store] };
    case "put-store":
      return { ...state, stores: replaced(state.stores, command.store, ({ id }) => id) };
    case "forget-store":
      return { ...state, stores: state.stores.filter(({ id }) => id !== command.id) };
    case "ids":
      return { ...state, idsUpTo: Math.max(state.idsUpTo, command.upTo) };
    case "tso":
      return { ...state, tsoUpTo: Math.max(state.tsoUpTo, command.upTo) };
    case "config":
      return configured(state, command);
    case "temporary":
      return { ...state, temporary: withTemporary(state, command.items) };
    case "cluster-version":
      return { ...state, clusterVersion: command.version };
    case "rules":
      return { ...state, rules: command.rules };
    case "safe-points":
      return { ...state, safePoints: command.safePoints };
    case "slow-store":
      return { ...state, slowStore: command.config };
    case "schedulers":
      return { ...state, schedulers: command.schedulers, storeSchedulers: command.storeSchedulers };
  }
}

function configured(state: ClusterState, { section, values }: Command & { kind: "config" }): ClusterState {
  const after = { ...state[section], ...values };
  const rules = section === "replication" ? state.rules.map((rule) => followed(rule, after)) : state.rules;
  return { ...state, [section]: after, rules };
}

/** The default rule follows the replication settings; any other stays as it was set. */
function followed(rule: Rule, replication: ConfigSection): Rule {
  const wanted = defaultRule(replication, rule.version);
  const isDefault = rule.groupId === wanted.groupId && rule.id === wanted.id;
  const same =
    rule.count === wanted.count &&
    rule.isolationLevel === wanted.isolationLevel &&
    rule.locationLabels.join() === labelsOf(replication).join();
  if (!isDefault || same) return rule;
  const { count, locationLabels, isolationLevel } = wanted;
  return { ...rule, count, locationLabels, isolationLevel, version: rule.version + 1 };
}

function withTemporary(
  { temporary }: ClusterState,
  items: Readonly<Record<string, TemporaryItem | null>>,
): Record<string, TemporaryItem> {
  const all = Object.entries({ ...temporary, ...items });
  return Object.fromEntries(all.flatMap(([key, item]) => (item === null ? [] : [[key, item]])));
}

function replaced<T, K>(all: readonly T[], one: T, key: (item: T) => K): readonly T[] {
  return all.some((item) => key(item) === key(one))
    ? all.map((item) => (key(item) === key(one) ? one : item))
    : [...all, one];
}
