import { z } from "zod";
import { idSchema } from "./lossless.ts";

/**
 * The answers of PD 8.5 that we read, as in tikv-facts §1 and the recordings. Objects are loose: PD adds fields between
 * patches. Values of proto3 that are zero are omitted by PD, so counters default.
 */
const memberSchema = z
  .looseObject({
    name: z.string(),
    member_id: idSchema,
    client_urls: z.array(z.string()).default([]),
    peer_urls: z.array(z.string()).default([]),
    binary_version: z.string().optional(),
    leader_priority: z.number().default(0),
  })
  .transform((m) => ({
    name: m.name,
    memberId: m.member_id,
    clientUrls: m.client_urls,
    peerUrls: m.peer_urls,
    version: m.binary_version ?? null,
    leaderPriority: m.leader_priority,
  }));
export type PdMember = z.output<typeof memberSchema>;

/** `null` while nobody leads. */
export const leaderSchema = memberSchema.nullable();

export const membersSchema = z
  .looseObject({
    header: z.looseObject({ cluster_id: idSchema }),
    members: z.array(memberSchema),
    leader: memberSchema.nullish(),
    etcd_leader: memberSchema.nullish(),
  })
  .transform((m) => ({
    clusterId: m.header.cluster_id,
    members: m.members,
    leader: m.leader ?? null,
    etcdLeader: m.etcd_leader ?? null,
  }));
export type PdMembers = z.output<typeof membersSchema>;

export const healthSchema = z.array(
  z
    .looseObject({ name: z.string(), member_id: idSchema, client_urls: z.array(z.string()), health: z.boolean() })
    .transform((h) => ({ name: h.name, memberId: h.member_id, clientUrls: h.client_urls, healthy: h.health })),
);
export type PdHealth = z.output<typeof healthSchema>;

const storeSchema = z
  .looseObject({
    store: z.looseObject({
      id: idSchema,
      address: z.string(),
      status_address: z.string().optional(),
      version: z.string().optional(),
      /** Seconds; a store that never reported one has none. */
      start_timestamp: z.number().optional(),
      physically_destroyed: z.boolean().default(false),
      state_name: z.string(),
      labels: z.array(z.looseObject({ key: z.string(), value: z.string() })).default([]),
    }),
    status: z.looseObject({
      capacity: z.string().optional(),
      available: z.string().optional(),
      leader_count: z.number().default(0),
      leader_weight: z.number().default(1),
      region_count: z.number().default(0),
      pending_peer_count: z.number().default(0),
      slow_score: z.number().optional(),
      is_busy: z.boolean().default(false),
      last_heartbeat_ts: z.string().optional(),
    }),
  })
  .transform(({ store, status }) => ({
    id: store.id,
    address: store.address,
    statusAddress: store.status_address ?? null,
    version: store.version ?? null,
    /** Epoch ms; null when the store never told. */
    startedAtMs: store.start_timestamp === undefined ? null : store.start_timestamp * 1000,
    destroyed: store.physically_destroyed,
    stateName: store.state_name,
    labels: Object.fromEntries(store.labels.map((label) => [label.key, label.value])),
    leaderCount: status.leader_count,
    leaderWeight: status.leader_weight,
    regionCount: status.region_count,
    pendingPeerCount: status.pending_peer_count,
    slowScore: status.slow_score ?? null,
    busy: status.is_busy,
    lastHeartbeat: status.last_heartbeat_ts ?? null,
    capacity: status.capacity ?? null,
    available: status.available ?? null,
  }));
export type PdStore = z.output<typeof storeSchema>;

export const storesSchema = z.looseObject({ stores: z.array(storeSchema).nullable() }).transform((s) => s.stores ?? []);

/** PD sends empty messages for "none": a peer without id. */
const peerSchema = z
  .looseObject({ id: idSchema.optional(), store_id: idSchema.optional(), role_name: z.string().default("Voter") })
  .transform((p) => ({
    id: p.id ?? "0",
    storeId: p.store_id ?? "0",
    role: p.role_name === "" ? "Voter" : p.role_name,
  }));

const regionSchema = z
  .looseObject({
    id: idSchema,
    start_key: z.string().default(""),
    end_key: z.string().default(""),
    epoch: z.looseObject({ conf_ver: z.number().default(0), version: z.number().default(0) }).optional(),
    peers: z.array(peerSchema).nullish(),
    leader: peerSchema.nullish(),
    down_peers: z.array(z.looseObject({ down_seconds: z.number().default(0), peer: peerSchema.optional() })).nullish(),
    pending_peers: z.array(peerSchema).nullish(),
    approximate_size: z.number().default(0),
  })
  .transform((r) => ({
    id: r.id,
    startKey: r.start_key,
    endKey: r.end_key,
    confVer: r.epoch?.conf_ver ?? 0,
    version: r.epoch?.version ?? 0,
    peers: r.peers ?? [],
    leader: r.leader === null || r.leader === undefined || r.leader.id === "0" ? null : r.leader,
    downPeers: (r.down_peers ?? []).map((d) => ({ downSeconds: d.down_seconds, storeId: d.peer?.storeId ?? "0" })),
    pendingPeers: r.pending_peers ?? [],
    approximateSizeMiB: r.approximate_size,
  }));
export type PdRegion = z.output<typeof regionSchema>;

/** `regions` is null in answers that only count. */
export const regionsSchema = z
  .looseObject({ count: z.number(), regions: z.array(regionSchema).nullish() })
  .transform((r) => ({ count: r.count, regions: r.regions ?? [] }));
export type PdRegions = z.output<typeof regionsSchema>;

const countByStore = z.record(z.string(), z.number()).nullish();
export const regionStatsSchema = z
  .looseObject({
    count: z.number(),
    empty_count: z.number().default(0),
    storage_size: z.number().default(0),
    store_leader_count: countByStore,
    store_peer_count: countByStore,
  })
  .transform((s) => ({
    count: s.count,
    emptyCount: s.empty_count,
    storageSizeMiB: s.storage_size,
    leadersByStore: s.store_leader_count ?? {},
    peersByStore: s.store_peer_count ?? {},
  }));
export type PdRegionStats = z.output<typeof regionStatsSchema>;

export const namesSchema = z
  .array(z.string())
  .nullable()
  .transform((names) => names ?? []);
export const configSchema = z.record(z.string(), z.unknown());

/** etcd's own `/health`, which PD serves at the root of its client port. */
export const etcdHealthSchema = z.looseObject({ health: z.string(), reason: z.string().default("") });
