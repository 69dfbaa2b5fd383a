import { Server, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import { healthService, pdService } from "../../proto/load.ts";
import type { NodeLog } from "../node-log.ts";
import type { Cluster } from "./cluster.ts";
import type { Leadership } from "./leadership.ts";
import type { ObservedMetrics } from "./metrics-observed.ts";
import {
  peerFromWire,
  peerToWire,
  regionFromWire,
  regionToWire,
  type Region,
  type WirePeer,
  type WireRegion,
} from "./regions.ts";
import { PdRefusal } from "./pd-refusal.ts";
import { stepMessage } from "./schedule/step-message.ts";
import type { Coordinator, SendStep } from "./schedule/coordinator.ts";
import { checkStoreVersion, lowestVersion } from "./cluster-version.ts";
import type { WireStoreReport } from "./unsafe/report.ts";
import {
  readQueries,
  statsFromWire,
  storeFromWire,
  storeToWire,
  writeQueries,
  type WireQueryStats,
  type WireStats,
  type WireStore,
} from "./wire-stores.ts";

const ERROR = { UNKNOWN: 1, NOT_BOOTSTRAPPED: 2, STORE_TOMBSTONE: 3, ALREADY_BOOTSTRAPPED: 4 } as const;

interface Header {
  readonly cluster_id: string;
}
interface Request {
  readonly header: Header | null;
}

export interface GrpcParts {
  readonly cluster: Cluster;
  readonly leadership: Leadership;
  readonly coordinator: Coordinator;
  readonly observed: ObservedMetrics;
  readonly clock: Clock;
  readonly log: NodeLog;
}

/** A refusal by gRPC status, as PD makes them. */
class GrpcRefusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** An error inside the reply's header; the call itself succeeds. */
class HeaderError extends Error {
  readonly type: number;
  constructor(type: number, message: string) {
    super(message);
    this.type = type;
  }
}

interface HeartbeatRequest extends Request {
  readonly region: WireRegion | null;
  readonly leader: WirePeer | null;
  readonly down_peers: readonly { readonly peer: WirePeer; readonly down_seconds: string }[];
  readonly pending_peers: readonly WirePeer[];
  readonly bytes_written: string;
  readonly bytes_read: string;
  readonly keys_written: string;
  readonly keys_read: string;
  readonly approximate_size: string;
  readonly approximate_keys: string;
  readonly approximate_kv_size: string;
  readonly cpu_usage: string;
  readonly query_stats: WireQueryStats | null;
  readonly interval: { readonly start_timestamp: string; readonly end_timestamp: string } | null;
  readonly term: string;
}

/** `pdpb.PD` as clients and stores call it. */
export class PdGrpcService {
  readonly #parts: GrpcParts;

  constructor(parts: GrpcParts) {
    this.#parts = parts;
  }

  server(): Server {
    const server = new Server({ "grpc.max_receive_message_length": 64 * 1024 * 1024 });
    server.addService(pdService, {
      ...this.#timed({
        GetClusterInfo: this.#open(() => ({ service_modes: [1], tso_urls: [] })),
        GetMembers: this.#open(() => this.#members()),
        ...this.#routing(),
        ...this.#storeSide(),
      }),
      Tso: (call: Stream<Request & { count: number }, unknown>) => this.#tso(call),
      RegionHeartbeat: (call: Stream<HeartbeatRequest, unknown>) => this.#regionHeartbeat(call),
    } as UntypedServiceImplementation);
    // etcd brings it; clients ask it before they forward through another member.
    server.addService(healthService, {
      Check: (_: unknown, done: (error: null, reply: object) => void) => done(null, { status: 1 }),
    } as UntypedServiceImplementation);
    return server;
  }

  /** How long each unary call takes, by its name. */
  #timed(methods: Readonly<Record<string, Unary>>): Readonly<Record<string, Unary>> {
    const { observed, clock } = this.#parts;
    const timed = (name: string, method: Unary): Unary => {
      const labels = { grpc_method: name, grpc_service: "pdpb.PD", grpc_type: "unary" };
      return (call, done) => {
        const began = clock.monotonic();
        method(call, (error, reply) => {
          observed.grpc.observe(labels, (clock.monotonic() - began) / 1_000);
          done(error, reply);
        });
      };
    };
    return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, timed(name, method)]));
  }

  #members() {
    const { leadership, cluster } = this.#parts;
    const wire = (member: (typeof cluster.state.members)[number]) => ({
      name: member.name,
      member_id: member.id,
      peer_urls: member.peerUrls,
      client_urls: member.clientUrls,
    });
    const leader = leadership.leader;
    return {
      members: cluster.state.members.map(wire),
      ...(leader === null ? {} : { leader: wire(leader), etcd_leader: wire(leader) }),
    };
  }

  #routing(): Record<string, Unary> {
    const { cluster } = this.#parts;
    const { regions } = cluster;
    const range = (start: Buffer, end: Buffer, limit: number) =>
      regions.scan(start.toString("hex"), end.toString("hex"), limit);
    return {
      GetRegion: this.#leader((request: { region_key: Buffer }) =>
        answer(regions.at(request.region_key.toString("hex"))),
      ),
      GetPrevRegion: this.#leader((request: { region_key: Buffer }) => {
        const region = regions.at(request.region_key.toString("hex"));
        const at = region === undefined ? -1 : regions.all().indexOf(region);
        return answer(regions.all()[at - 1]);
      }),
      GetRegionByID: this.#leader((request: { region_id: string }) => answer(regions.get(Number(request.region_id)))),
      ScanRegions: this.#leader((request: { start_key: Buffer; end_key: Buffer; limit: number }) => {
        const found = range(request.start_key, request.end_key, request.limit);
        return {
          region_metas: found.map(regionToWire),
          leaders: found.map(({ leader }) => (leader === null ? {} : peerToWire(leader))),
          regions: found.map(answer),
        };
      }),
      BatchScanRegions: this.#leader((request: { ranges: { start_key: Buffer; end_key: Buffer }[]; limit: number }) => {
        const found = new Map<number, Region>();
        for (const { start_key, end_key } of request.ranges)
          for (const region of range(start_key, end_key, request.limit)) found.set(region.id, region);
        return { regions: [...found.values()].slice(0, request.limit || undefined).map(answer) };
      }),
      GetStore: this.#leader((request: { store_id: string }) => {
        const { meta, lastHeartbeatMs } = cluster.store(Number(request.store_id));
        if (meta.state === 2) throw new HeaderError(ERROR.STORE_TOMBSTONE, "store is tombstone");
        return { store: storeToWire(meta, lastHeartbeatMs) };
      }),
      GetAllStores: this.#leader((request: { exclude_tombstone_stores: boolean }) => ({
        stores: cluster
          .stores()
          .filter(({ meta }) => !request.exclude_tombstone_stores || meta.state !== 2)
          .map(({ meta, lastHeartbeatMs }) => storeToWire(meta, lastHeartbeatMs)),
      })),
      GetClusterConfig: this.#leader(() => ({
        cluster: { id: cluster.state.clusterId, max_peer_count: Number(cluster.state.replication["max-replicas"]) },
      })),
    };
  }

  #storeSide(): Record<string, Unary> {
    const { cluster, coordinator, observed, clock } = this.#parts;
    return {
      IsBootstrapped: this.#always(() => ({ bootstrapped: cluster.bootstrapped })),
      Bootstrap: this.#always(async (request: { store: WireStore; region: WireRegion }) => {
        if (cluster.bootstrapped) throw new HeaderError(ERROR.ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped");
        await this.#bootstrap(request.store, request.region);
        return {};
      }),
      AllocID: this.#always(async () => ({ id: String(await cluster.ids.next()), count: 1 })),
      PutStore: this.#leader(async (request: { store: WireStore }) => {
        await this.#putStore(request.store);
        return {};
      }),
      StoreHeartbeat: this.#leader(async (request: { stats: WireStats; store_report: WireStoreReport | null }) => {
        const storeId = Number(request.stats.store_id);
        if (cluster.store(storeId).meta.state === 2)
          throw new HeaderError(ERROR.STORE_TOMBSTONE, `store ${storeId} is tombstone`);
        const began = clock.monotonic();
        const meta = await cluster.heardStore(storeId, statsFromWire(request.stats));
        const labels = { address: meta.address, store: String(storeId) };
        const plan = await cluster.recovery.onHeartbeat(storeId, request.store_report);
        observed.storeHeartbeat.observe(labels, (clock.monotonic() - began) / 1_000);
        return {
          state: meta.nodeState,
          cluster_version: cluster.state.clusterVersion,
          ...(plan === null ? {} : { recovery_plan: plan }),
        };
      }),
      AskBatchSplit: this.#leader(async (request: { region: WireRegion; split_count: number }) => {
        if (cluster.recovery.isRunning)
          throw new HeaderError(
            ERROR.UNKNOWN,
            "[PD:unsaferecovery:ErrUnsafeRecoveryIsRunning]unsafe recovery is running",
          );
        if (cluster.schedule["enable-tikv-split-region"] === "false")
          throw new HeaderError(
            ERROR.UNKNOWN,
            "[PD:scheduler:ErrSchedulerTiKVSplitDisabled]tikv split region disabled",
          );
        const ids = [];
        for (let part = 0; part < request.split_count; part++) {
          const newRegionId = String(await cluster.ids.next());
          const peers = [];
          for (const _ of request.region.peers) peers.push(String(await cluster.ids.next()));
          ids.push({ new_region_id: newRegionId, new_peer_ids: peers });
        }
        coordinator.onSplit([Number(request.region.id), ...ids.map(({ new_region_id: id }) => Number(id))]);
        return { ids };
      }),
      ReportBatchSplit: this.#leader(() => ({})),
    };
  }

  async #bootstrap(store: WireStore, region: WireRegion): Promise<void> {
    const { cluster, log } = this.#parts;
    const atMs = cluster.now();
    this.#demandVersion(store);
    await cluster.decide({ kind: "bootstrap", store: storeFromWire(store, null, atMs), atMs });
    const won = cluster.state.stores[0]?.id === Number(store.id);
    if (!won) throw new HeaderError(ERROR.ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped");
    await this.#noteVersions();
    cluster.regions.put({ ...regionFromWire(region, null), leader: region.peers.map(peerFromWire)[0] ?? null });
    log.info("server.go:801", "bootstrap cluster ok", { "cluster-id": cluster.state.clusterId });
  }

  async #putStore(wire: WireStore): Promise<void> {
    const { cluster, log } = this.#parts;
    const known = cluster.state.stores.find(({ id }) => id === Number(wire.id)) ?? null;
    if (known?.state === 2) throw new HeaderError(ERROR.STORE_TOMBSTONE, "store is tombstone");
    const twin = cluster.state.stores.find(
      ({ id, address, state, physicallyDestroyed }) =>
        id !== Number(wire.id) && address === wire.address && state !== 2 && !physicallyDestroyed,
    );
    if (twin !== undefined)
      throw new HeaderError(
        ERROR.UNKNOWN,
        `duplicated store address: id:${wire.id} address:"${wire.address}", already registered by id:${twin.id} address:"${twin.address}"`,
      );
    this.#demandVersion(wire);
    await cluster.decide({ kind: "put-store", store: storeFromWire(wire, known, cluster.now()) });
    await this.#noteVersions();
    log.info("cluster.go:1337", "put store ok", { "store-id": wire.id, "store-address": wire.address });
    cluster.changed();
  }

  /** @throws HeaderError */
  #demandVersion({ id, version }: WireStore): void {
    const why = checkStoreVersion(this.#parts.cluster.state.clusterVersion, id, version);
    if (why !== null) throw new HeaderError(ERROR.UNKNOWN, why);
  }

  /** The cluster's version is that of its oldest store; it never falls. */
  async #noteVersions(): Promise<void> {
    const { cluster } = this.#parts;
    const version = lowestVersion(cluster.state);
    if (version !== cluster.state.clusterVersion) await cluster.decide({ kind: "cluster-version", version });
  }

  #regionHeartbeat(call: Stream<HeartbeatRequest, unknown>): void {
    const { coordinator, leadership, observed, clock } = this.#parts;
    let isNew = true;
    const send: SendStep = (region, step) => {
      const message = stepMessage(region, step);
      if (message !== null) call.write({ header: this.#header(), ...message });
    };
    call.on("data", (request: HeartbeatRequest) => {
      const refused = this.#refusal(request.header) ?? (leadership.serving ? null : notLeader());
      if (refused !== null) return void call.destroy(asServiceError(refused));
      if (request.region === null || request.leader === null) return;
      const began = clock.monotonic();
      const labels = this.#storeLabels(request.leader);
      observed.regionHeard({ ...labels, status: "recv" });
      if (isNew) observed.regionHeard({ ...labels, status: "bind" });
      isNew = false;
      coordinator.onRegionHeartbeat(heardRegion(request, request.region), intervalMs(request), send);
      observed.regionHeard({ ...labels, status: "ok" });
      observed.regionHeartbeat.observe(labels, (clock.monotonic() - began) / 1_000);
    });
    const done = () => coordinator.onStreamEnd(send);
    call.on("end", () => {
      done();
      call.end();
    });
    call.on("error", done);
    call.on("cancelled", done);
  }

  #storeLabels({ store_id }: WirePeer): { readonly address: string; readonly store: string } {
    const address = this.#parts.cluster.state.stores.find(({ id }) => id === Number(store_id))?.address ?? "";
    return { address, store: store_id };
  }

  #tso(call: Stream<Request & { count: number }, unknown>): void {
    const { cluster, leadership } = this.#parts;
    // One after the other: replies must be in the order of the requests.
    let before = Promise.resolve();
    call.on("data", (request: Request & { count: number }) => {
      before = before.then(async () => {
        try {
          const refused = this.#refusal(request.header);
          if (refused !== null) throw refused;
          if (!leadership.serving)
            throw new GrpcRefusal(
              status.UNKNOWN,
              "[PD:tso:ErrGenerateTimestamp]generate timestamp failed, requested pd is not leader of cluster",
            );
          const { physical, logical } = await cluster.tso.next(request.count);
          const timestamp = { physical: String(physical), logical: String(logical), suffix_bits: 0 };
          call.write({ header: this.#header(), count: request.count, timestamp });
        } catch (error) {
          call.destroy(asServiceError(error));
        }
      });
    });
    call.on("end", () => void before.then(() => call.end()));
    call.on("error", () => {});
  }

  #header() {
    return { cluster_id: this.#parts.cluster.state.clusterId };
  }

  #refusal(header: Header | null): GrpcRefusal | null {
    const { clusterId } = this.#parts.cluster.state;
    const given = header?.cluster_id ?? "0";
    return given === clusterId
      ? null
      : new GrpcRefusal(status.FAILED_PRECONDITION, `mismatch cluster id, need ${clusterId} but got ${given}`);
  }

  /** Answered by every member that has started, whatever cluster the caller means. */
  #open<Q, A>(handle: (request: Q) => A) {
    return this.#unary(handle, () => (this.#parts.leadership.started ? null : notStarted()));
  }

  /** Answered by the leader, whether or not there is a store yet. */
  #always<Q, A>(handle: (request: Q) => A) {
    return this.#unary(handle, (header) => {
      if (!this.#parts.leadership.started) return notStarted();
      return this.#parts.leadership.serving ? this.#refusal(header) : notLeader();
    });
  }

  /** Answered by the leader of a bootstrapped cluster. */
  #leader<Q, A>(handle: (request: Q) => A) {
    return this.#always((request: Q) => {
      if (!this.#parts.cluster.bootstrapped)
        throw new HeaderError(ERROR.NOT_BOOTSTRAPPED, "cluster is not bootstrapped");
      return handle(request);
    });
  }

  #unary<Q, A>(handle: (request: Q) => A, refuse: (header: Header | null) => GrpcRefusal | null): Unary {
    return (call, done) => {
      const work = async () => {
        const refused = refuse(call.request.header);
        if (refused !== null) throw refused;
        const reply = (await handle(call.request as Q & Request)) as object;
        return { header: this.#header(), ...reply };
      };
      work().then(
        (reply) => done(null, reply),
        (error: unknown) => {
          if (error instanceof HeaderError || error instanceof PdRefusal) {
            const type = error instanceof HeaderError ? error.type : ERROR.UNKNOWN;
            done(null, { header: { ...this.#header(), error: { type, message: error.message } } });
          } else done(asServiceError(error));
        },
      );
    };
  }
}

type Unary = (call: { readonly request: Request }, done: (error: unknown, reply?: unknown) => void) => void;

interface Stream<Q, A> {
  on(event: string, listener: (data: Q) => void): void;
  write(reply: A): void;
  end(): void;
  destroy(error: Error): void;
}

function notLeader(): GrpcRefusal {
  return new GrpcRefusal(status.UNAVAILABLE, "not leader");
}

function notStarted(): GrpcRefusal {
  return new GrpcRefusal(status.UNAVAILABLE, "server not started");
}

function asServiceError(error: unknown): Error & { code: number; details: string } {
  const code = error instanceof GrpcRefusal ? error.code : status.UNAVAILABLE;
  const details = errorText(error);
  return Object.assign(new Error(details), { code, details });
}

function answer(region: Region | undefined) {
  if (region === undefined) return {};
  return {
    region: regionToWire(region),
    ...(region.leader === null ? {} : { leader: peerToWire(region.leader) }),
    down_peers: region.downPeers.map(({ peer, downSeconds }) => ({
      peer: peerToWire(peer),
      down_seconds: String(downSeconds),
    })),
    pending_peers: region.pendingPeers.map(peerToWire),
  };
}

function heardRegion(request: HeartbeatRequest, region: WireRegion): Region {
  return {
    ...regionFromWire(region, request.leader),
    term: Number(request.term),
    downPeers: request.down_peers.map(({ peer, down_seconds }) => ({
      peer: peerFromWire(peer),
      downSeconds: Number(down_seconds),
    })),
    pendingPeers: request.pending_peers.map(peerFromWire),
    writtenBytes: Number(request.bytes_written),
    readBytes: Number(request.bytes_read),
    writtenKeys: Number(request.keys_written),
    readKeys: Number(request.keys_read),
    approximateSize: inMib(Number(request.approximate_size)),
    approximateKeys: Number(request.approximate_keys),
    approximateKvSize: inMib(Number(request.approximate_kv_size)),
    cpuUsage: Number(request.cpu_usage),
    writtenQueries: writeQueries(request.query_stats),
    readQueries: readQueries(request.query_stats),
  };
}

/** What the flows of a heartbeat cover; 0 when the store does not say. */
function intervalMs({ interval }: HeartbeatRequest): number {
  return interval === null ? 0 : (Number(interval.end_timestamp) - Number(interval.start_timestamp)) * 1_000;
}

/** Stores report bytes; PD counts whole MiB, and little as one (tikv/pd:pkg/core/region.go). */
function inMib(bytes: number): number {
  return bytes > 0 ? Math.max(1, Math.floor(bytes / 2 ** 20)) : 0;
}
