import type { MethodDefinition } from "@grpc/grpc-js";
import type { BidiCall } from "../../subjects/common/link/node-grpc-client.ts";
import { NodeGrpcClient } from "../../subjects/common/link/node-grpc-client.ts";
import { noLinkRules } from "../../subjects/common/link/link-rules.ts";
import { pdService } from "../../subjects/tikv/proto/load.ts";

interface Peer {
  id: string;
  store_id: string;
  role: number;
}
interface Region {
  id: string;
  start_key: Buffer;
  end_key: Buffer;
  region_epoch: { conf_ver: number; version: number };
  peers: Peer[];
  leader: Peer;
}
interface Change {
  peer: Peer;
  change_type: number;
}
interface Order {
  region_id: string;
  change_peer_v2: { changes: Change[] } | null;
  transfer_leader: { peer: Peer } | null;
  split_region: { keys: Buffer[] } | null;
  merge: { target: { id: string } } | null;
}

/** metapb.PeerRole */
const [VOTER, LEARNER, INCOMING, DEMOTING] = [0, 1, 2, 3];
const [ADD_NODE, REMOVE_NODE] = [0, 1];

/**
 * The stores of a cluster as PD meets them: they join, report and do at once what PD orders. They keep no data; what
 * real stores take a consensus for is one assignment here.
 */
export class ScriptedStores implements AsyncDisposable {
  readonly #client: NodeGrpcClient;
  readonly #signal: AbortSignal;
  readonly #streams = new Map<string, BidiCall<unknown, unknown>>();
  readonly #stopped = new AbortController();
  readonly regions = new Map<string, Region>();
  readonly storeIds: string[] = [];
  /** Stores that are dead: they say and do nothing. */
  readonly dead = new Set<string>();
  /** What leaders say of followers that are silent. */
  readonly downPeers = new Map<string, { peer: Peer; down_seconds: string }[]>();
  /** Bytes of every region. */
  regionBytes = 1 << 20;
  /** More of what stores say of themselves, by store; flows of regions, by region. */
  readonly stats = new Map<string, object>();
  readonly flows = new Map<string, object>();
  /** Orders as they came, in words: `region 12: add learner 14 on 3`. */
  readonly orders: string[] = [];
  readonly labels: Readonly<Record<string, string>>[];
  #clusterId = "";

  constructor(
    pd: { readonly host: string; readonly port: number },
    signal: AbortSignal,
    labels: Readonly<Record<string, string>>[] = [],
  ) {
    this.labels = labels;
    this.#client = new NodeGrpcClient(pd, noLinkRules());
    this.#signal = AbortSignal.any([signal, this.#stopped.signal]);
  }

  /** Makes `count` stores more, the very first of which bootstraps the cluster. */
  async join(count: number): Promise<void> {
    const members = await this.call<{ header: { cluster_id: string } }>("GetMembers", {}, false);
    this.#clusterId = members.header.cluster_id;
    for (let n = 0; n < count; n++) await this.#joinOne(this.storeIds.length);
  }

  async call<T = Record<string, unknown>>(method: string, request: object, withCluster = true): Promise<T> {
    const header = withCluster ? { cluster_id: this.#clusterId } : null;
    const definition = pdService[method] as MethodDefinition<unknown, unknown>;
    return (await this.#client.unary(definition, { header, ...request }, this.#signal)) as T;
  }

  async heartbeat(storeId: string): Promise<void> {
    await this.call("StoreHeartbeat", {
      stats: {
        store_id: storeId,
        capacity: String(100 * 2 ** 30),
        available: String(90 * 2 ** 30),
        used_size: "1048576",
        start_time: 1_700_000_000,
        interval: { start_timestamp: "1700000000", end_timestamp: "1700000010" },
        ...this.stats.get(storeId),
      },
    });
  }

  /** One heartbeat of every store that lives, and of every region that has a living leader. */
  async heartbeats(): Promise<void> {
    for (const id of this.storeIds) if (!this.dead.has(id)) await this.heartbeat(id);
    for (const id of this.regions.keys()) this.report(id);
  }

  /** As `physical << 18 | logical`, one for each batch of `batch`. */
  async timestamps(count: number, batch: number): Promise<bigint[]> {
    const { header } = await this.call<{ header: unknown }>("GetMembers", {}, false);
    const definition = pdService["Tso"] as MethodDefinition<unknown, unknown>;
    await using stream = await this.#client.bidi(definition, this.#signal);
    const found: bigint[] = [];
    stream.write({ header, count: batch });
    for await (const response of stream.responses) {
      const { physical, logical } = (response as { timestamp: { physical: string; logical: string } }).timestamp;
      found.push((BigInt(physical) << 18n) | BigInt(logical));
      if (found.length === count) break;
      stream.write({ header, count: batch });
    }
    return found;
  }

  report(regionId: string): void {
    const region = this.regions.get(regionId);
    if (region === undefined || this.dead.has(region.leader.store_id)) return;
    this.#streams.get(region.leader.store_id)?.write({
      header: { cluster_id: this.#clusterId },
      region,
      leader: region.leader,
      down_peers: this.downPeers.get(regionId) ?? [],
      approximate_size: String(this.regionBytes),
      term: "6",
      ...this.flows.get(regionId),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#client[Symbol.asyncDispose]();
  }

  async #joinOne(n: number): Promise<void> {
    const id = await this.#newId();
    this.storeIds.push(id);
    const store = {
      id,
      address: `tikv${n}:20160`,
      status_address: `tikv${n}:20180`,
      version: "8.5.7",
      start_timestamp: "1700000000",
      labels: Object.entries(this.labels[n] ?? {}).map(([key, value]) => ({ key, value })),
    };
    if (n === 0) {
      const [regionId, peerId] = [await this.#newId(), await this.#newId()];
      const peer = { id: peerId, store_id: id, role: 0 };
      const region = {
        id: regionId,
        start_key: Buffer.alloc(0),
        end_key: Buffer.alloc(0),
        region_epoch: { conf_ver: 1, version: 1 },
        peers: [peer],
        leader: peer,
      };
      await this.call("Bootstrap", { store, region });
      this.regions.set(regionId, region);
    }
    await this.call("PutStore", { store });
    await this.heartbeat(id);
    const stream = await this.#client.bidi(
      pdService["RegionHeartbeat"] as MethodDefinition<unknown, unknown>,
      this.#signal,
    );
    this.#streams.set(id, stream);
    void this.#obey(stream);
    for (const region of this.regions.values()) if (region.leader.store_id === id) this.report(region.id);
  }

  async #newId(): Promise<string> {
    return (await this.call<{ id: string }>("AllocID", {})).id;
  }

  async #obey(stream: BidiCall<unknown, unknown>): Promise<void> {
    try {
      for await (const order of stream.responses) await this.#carryOut(order as Order);
    } catch {
      // The cluster under test went away; the test says what it expected.
    }
  }

  async #carryOut({ region_id, change_peer_v2, transfer_leader, split_region, merge }: Order): Promise<void> {
    const region = this.regions.get(region_id);
    if (region === undefined || this.dead.has(region.leader.store_id)) return;
    if (split_region !== null) return this.#split(region, split_region.keys);
    if (merge !== null) return this.#merge(region, merge.target.id);
    if (transfer_leader !== null) {
      this.orders.push(`region ${region_id}: transfer leader to ${transfer_leader.peer.store_id}`);
      region.leader = region.peers.find(({ store_id }) => store_id === transfer_leader.peer.store_id) ?? region.leader;
    }
    if (change_peer_v2 !== null) this.#changePeers(region, change_peer_v2.changes);
    this.report(region_id);
  }

  /** One change is made at once; several enter the joint state, none leaves it. */
  #changePeers(region: Region, changes: readonly Change[]): void {
    const words = changes.map(({ peer, change_type }) => {
      const what = change_type === ADD_NODE ? "voter" : change_type === REMOVE_NODE ? "removed" : "learner";
      return `${what} ${peer.store_id}`;
    });
    this.orders.push(`region ${region.id}: ${words.join(", ") || "leave joint"}`);
    if (changes.length === 0) {
      const joint = region.peers.filter(({ role }) => role === INCOMING || role === DEMOTING);
      for (const peer of joint) peer.role = peer.role === INCOMING ? (VOTER ?? 0) : (LEARNER ?? 1);
      region.region_epoch.conf_ver += joint.length;
      return;
    }
    for (const { peer, change_type } of changes) {
      const known = region.peers.find(({ store_id }) => store_id === peer.store_id);
      if (change_type === REMOVE_NODE) region.peers = region.peers.filter((each) => each !== known);
      else if (known === undefined) region.peers.push({ ...peer });
      else if (changes.length === 1) known.role = peer.role;
      else known.role = (change_type === ADD_NODE ? INCOMING : DEMOTING) ?? 0;
      region.region_epoch.conf_ver++;
    }
  }

  #merge(source: Region, targetId: string): void {
    const target = this.regions.get(targetId);
    if (target === undefined) return;
    this.orders.push(`region ${source.id}: merge into ${targetId}`);
    if (source.end_key.equals(target.start_key)) target.start_key = source.start_key;
    else target.end_key = source.end_key;
    target.region_epoch.version = Math.max(target.region_epoch.version, source.region_epoch.version) + 1;
    this.regions.delete(source.id);
    this.report(targetId);
  }

  async #split(region: Region, keys: Buffer[]): Promise<void> {
    const asked = await this.call<{ ids: { new_region_id: string; new_peer_ids: string[] }[] }>("AskBatchSplit", {
      region,
      split_count: keys.length,
    });
    const version = region.region_epoch.version + keys.length;
    const starts = [region.start_key, ...keys];
    const ends = [...keys, region.end_key];
    for (const [at, { new_region_id, new_peer_ids }] of asked.ids.entries()) {
      const peers = region.peers.map((peer, n) => ({ ...peer, id: new_peer_ids[n] as string }));
      this.regions.set(new_region_id, {
        id: new_region_id,
        start_key: starts[at] as Buffer,
        end_key: ends[at] as Buffer,
        region_epoch: { ...region.region_epoch, version },
        peers,
        leader: peers.find(({ store_id }) => store_id === region.leader.store_id) as Peer,
      });
    }
    region.start_key = starts.at(-1) as Buffer;
    region.region_epoch.version = version;
    for (const id of [...asked.ids.map((each) => each.new_region_id), region.id]) this.report(id);
  }
}
