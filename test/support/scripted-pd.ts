import { Server, ServerCredentials, status, type ServerDuplexStream, type sendUnaryData } from "@grpc/grpc-js";
import { pdService } from "../../subjects/tikv/proto/load.ts";

interface Reply {
  readonly [field: string]: unknown;
}

type Request = Readonly<Record<string, unknown>> & { readonly header: { readonly cluster_id: string } | null };
type Unary = (call: { readonly request: Request }, done: sendUnaryData<Reply>) => void;

interface HeartbeatRegion {
  readonly id: string;
  readonly region_epoch: { readonly conf_ver: string; readonly version: string };
  readonly peers: readonly { readonly id: string; readonly store_id: string; readonly role: number }[];
  readonly start_key: Buffer;
  readonly end_key: Buffer;
}

/** A region as its leader reported it last. */
export interface ReportedRegion {
  readonly region: HeartbeatRegion;
  readonly leader: { readonly id: string; readonly store_id: string };
  readonly pending_peers: readonly { readonly id: string }[];
  readonly down_peers: readonly { readonly peer: { readonly id: string }; readonly down_seconds: string }[];
  readonly approximate_size: string;
  readonly approximate_keys: string;
  readonly term: string;
}

interface StoreMeta {
  readonly id: string;
  readonly address: string;
  readonly version: string;
  /** metapb.StoreState: Tombstone 2. */
  readonly state?: number;
}

/** pdpb.ErrorType */
const ERROR = { UNKNOWN: 1, NOT_BOOTSTRAPPED: 2, STORE_TOMBSTONE: 3, ALREADY_BOOTSTRAPPED: 4 } as const;

/** Said in the header of a reply; the call itself succeeds. */
class HeaderError extends Error {
  readonly type: number;
  constructor(type: number, message: string) {
    super(message);
    this.type = type;
  }
}

/** Said as a gRPC status. */
class StatusError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * A PD of one member that keeps everything in memory: stores can bootstrap, heartbeat, split and merge. It asks for
 * nothing by itself; a test says what a region's leader is to do with `ask`. It refuses what the real one refuses, in
 * its words (tikv/pd:server/grpc_service.go, server/cluster/cluster.go, cluster_worker.go), and whatever no TiKV says;
 * `refusals` keeps all of it.
 */
export class ScriptedPd implements AsyncDisposable {
  readonly regions = new Map<number, ReportedRegion>();
  readonly stores = new Map<number, StoreMeta>();
  readonly heartbeats: Readonly<Record<string, unknown>>[] = [];
  readonly splits: (readonly HeartbeatRegion[])[] = [];
  /** What was refused, but for the races that a real PD sees too (a second bootstrap, reports of an old leader). */
  readonly refusals: string[] = [];
  /** Called after every heartbeat of a region. */
  onRegion: (region: ReportedRegion) => void = () => {};
  onStore: () => void = () => {};
  readonly #server = new Server();
  readonly #streams = new Map<string, ServerDuplexStream<ReportedRegion & Request, Reply>>();
  #lastId = 0;
  #bootstrapped = false;
  #port = 0;
  readonly #clusterId: string;
  readonly #clusterVersion: string;

  /** @param clusterVersion stores below it are refused. */
  constructor(clusterId = "7000000000000000001", clusterVersion = "8.0.0") {
    this.#clusterId = clusterId;
    this.#clusterVersion = clusterVersion;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.#port}`;
  }

  nextId(): number {
    return ++this.#lastId;
  }

  async start(): Promise<this> {
    this.#server.addService(pdService, this.#handlers() as never);
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    return this;
  }

  /** Sends what PD wants to the leader of a region. */
  ask(regionId: number, what: Reply): void {
    const reported = this.regions.get(regionId);
    if (reported === undefined) throw new RangeError(`region ${regionId} was never reported`);
    const { region, leader } = reported;
    this.#streams.get(leader.store_id)?.write({
      header: this.#header(),
      region_id: region.id,
      region_epoch: region.region_epoch,
      target_peer: leader,
      ...what,
    });
  }

  /** As `DELETE /store/{id}` ends. */
  bury(storeId: number): void {
    const store = this.stores.get(storeId);
    if (store !== undefined) this.stores.set(storeId, { ...store, state: 2 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    return Promise.resolve();
  }

  #header(): { readonly cluster_id: string } {
    return { cluster_id: this.#clusterId };
  }

  #handlers(): Record<string, unknown> {
    const member = () => ({ name: "pd0", member_id: "1", client_urls: [`http://${this.endpoint}`], peer_urls: [] });
    return {
      GetMembers: this.#answer(() => ({ members: [member()], leader: member(), etcd_leader: member() }), "anybody"),
      IsBootstrapped: this.#answer(() => ({ bootstrapped: this.#bootstrapped })),
      AllocID: this.#answer(() => ({ id: String(this.nextId()) })),
      Bootstrap: this.#answer(({ store, region }) => this.#bootstrap(store as StoreMeta, region as HeartbeatRegion)),
      PutStore: this.#answer(({ store }) => this.#putStore(store as StoreMeta), "bootstrapped"),
      GetStore: this.#answer(({ store_id }) => ({ store: this.#knownStore(store_id) }), "bootstrapped"),
      GetRegionByID: this.#answer(
        ({ region_id }) => ({ region: this.regions.get(Number(region_id))?.region ?? null }),
        "bootstrapped",
      ),
      StoreHeartbeat: this.#answer(({ stats }) => this.#storeHeartbeat(stats as Reply), "bootstrapped"),
      AskBatchSplit: this.#answer(
        ({ region, split_count }) => this.#askSplit(region as HeartbeatRegion, Number(split_count)),
        "bootstrapped",
      ),
      ReportBatchSplit: this.#answer(
        ({ regions }) => this.#splitReported(regions as HeartbeatRegion[]),
        "bootstrapped",
      ),
      Tso: (stream: ServerDuplexStream<Request & { readonly count: number }, Reply>) => {
        stream.on("data", ({ header, count }: Request & { readonly count: number }) => {
          if (header?.cluster_id !== this.#clusterId) this.refusals.push(this.#mismatch(header));
          stream.write({
            header: this.#header(),
            count,
            timestamp: { physical: String(Date.now()), logical: String(count) },
          });
        });
        stream.on("error", () => {});
        stream.on("end", () => stream.end());
      },
      RegionHeartbeat: (stream: ServerDuplexStream<ReportedRegion & Request, Reply>) => {
        stream.on("data", (reported: ReportedRegion & Request) => this.#regionHeartbeat(reported, stream));
        stream.on("error", () => {});
        stream.on("end", () => stream.end());
      },
    };
  }

  /** `validateRequest`, and `notBootstrappedHeader` where there has to be a cluster. */
  #answer(reply: (request: Request) => Reply, who: "anybody" | "member" | "bootstrapped" = "member"): Unary {
    return ({ request }, done) => {
      try {
        if (who !== "anybody" && request.header?.cluster_id !== this.#clusterId)
          throw new StatusError(status.FAILED_PRECONDITION, this.#mismatch(request.header));
        if (who === "bootstrapped" && !this.#bootstrapped)
          throw new HeaderError(ERROR.NOT_BOOTSTRAPPED, "cluster is not bootstrapped");
        done(null, { header: this.#header(), ...reply(request) });
      } catch (error) {
        if (error instanceof HeaderError) {
          if (error.type !== ERROR.ALREADY_BOOTSTRAPPED) this.refusals.push(error.message);
          return done(null, { header: { ...this.#header(), error: { type: error.type, message: error.message } } });
        }
        this.refusals.push(String(error));
        done({ code: status.UNKNOWN, ...(error as object), message: (error as Error).message } as never);
      }
    };
  }

  #mismatch(header: Request["header"]): string {
    return `mismatch cluster id, need ${this.#clusterId} but got ${header?.cluster_id ?? "no header"}`;
  }

  /** `checkBootstrapRequest` */
  #bootstrap(store: StoreMeta | null, region: HeartbeatRegion | null): Reply {
    if (this.#bootstrapped) throw new HeaderError(ERROR.ALREADY_BOOTSTRAPPED, "cluster is already bootstrapped");
    const [peer] = region?.peers ?? [];
    if (store === null || store.id === "0") throw new StatusError(status.UNKNOWN, "invalid zero store id");
    if (region === null || region.id === "0" || peer === undefined || region.peers.length !== 1)
      throw new StatusError(status.UNKNOWN, "invalid first region peer count, must be 1");
    if (region.start_key.length > 0 || region.end_key.length > 0)
      throw new StatusError(status.UNKNOWN, "invalid first region key range, must all be empty");
    if (peer.store_id !== store.id || peer.id === "0")
      throw new StatusError(status.UNKNOWN, `invalid peer store id ${peer.store_id} != ${store.id}`);
    if (region.region_epoch.conf_ver !== "1" || region.region_epoch.version !== "1")
      throw new StatusError(status.UNKNOWN, "a first region has epoch 1, 1");
    this.#bootstrapped = true;
    return {};
  }

  /** `PutMetaStore`, `checkStoreVersion` */
  #putStore(store: StoreMeta): Reply {
    const { id, address, version } = store;
    if (this.stores.get(Number(id))?.state === 2) throw new HeaderError(ERROR.STORE_TOMBSTONE, "store is tombstone");
    if (id === "0") throw new HeaderError(ERROR.UNKNOWN, `invalid put store ${address}`);
    if (!/^\d+\.\d+\.\d+/.test(version) || older(version, this.#clusterVersion))
      throw new HeaderError(
        ERROR.UNKNOWN,
        `version should compatible with version  ${this.#clusterVersion}, got ${version}`,
      );
    const twin = [...this.stores.values()].find((other) => other.address === address && other.id !== id);
    if (twin !== undefined)
      throw new HeaderError(
        ERROR.UNKNOWN,
        `duplicated store address: id:${id} address:"${address}", already registered by id:${twin.id}`,
      );
    this.stores.set(Number(id), store);
    this.onStore();
    return {};
  }

  #knownStore(id: unknown): StoreMeta {
    const store = this.stores.get(Number(id));
    if (store === undefined) throw new HeaderError(ERROR.UNKNOWN, `invalid store ID ${String(id)}, not found`);
    return store;
  }

  #storeHeartbeat(stats: Reply): Reply {
    if (this.#knownStore(stats["store_id"]).state === 2)
      throw new HeaderError(ERROR.STORE_TOMBSTONE, "store is tombstone");
    const [capacity, available] = [Number(stats["capacity"]), Number(stats["available"])];
    const { start_timestamp, end_timestamp } = stats["interval"] as Record<string, string>;
    if (capacity <= 0 || available > capacity || Number(stats["start_time"]) <= 0)
      throw new HeaderError(ERROR.UNKNOWN, `a store of ${capacity} bytes with ${available} left`);
    if (Number(end_timestamp) < Number(start_timestamp) || Number(start_timestamp) > Date.now() / 1000)
      throw new HeaderError(ERROR.UNKNOWN, `an interval from ${start_timestamp} to ${end_timestamp}`);
    this.heartbeats.push(stats);
    return { state: 1, cluster_version: this.#clusterVersion };
  }

  /** `HandleAskBatchSplit`, `ValidRegion` */
  #askSplit(region: HeartbeatRegion, count: number): Reply {
    const known = this.regions.get(Number(region.id))?.region;
    if (count < 1 || region.region_epoch === null) throw new StatusError(status.UNKNOWN, "missing region for split");
    if (known !== undefined && behind(region, known))
      throw new StatusError(status.UNKNOWN, `invalid region epoch, region ${region.id}`);
    const ids = Array.from({ length: count }, () => ({
      new_region_id: String(this.nextId()),
      new_peer_ids: region.peers.map(() => String(this.nextId())),
    }));
    return { ids };
  }

  /** `checkSplitRegions`: in order, each beginning where the one before it ends. */
  #splitReported(regions: readonly HeartbeatRegion[]): Reply {
    const inOrder = regions.every((region, at) => at === 0 || regions[at - 1]?.end_key.equals(region.start_key));
    if (regions.length < 2 || !inOrder) throw new StatusError(status.UNKNOWN, "invalid split region");
    this.splits.push(regions);
    return {};
  }

  #regionHeartbeat(reported: ReportedRegion & Request, stream: ServerDuplexStream<ReportedRegion & Request, Reply>) {
    const { region, leader, header } = reported;
    const refused = this.#wrongReport(reported);
    if (refused !== null) {
      this.refusals.push(refused);
      stream.write({
        header: { ...this.#header(), error: { type: ERROR.UNKNOWN, message: refused } },
        target_peer: leader,
      });
      return header?.cluster_id === this.#clusterId ? undefined : stream.end();
    }
    this.#streams.set(leader.store_id, stream);
    if (!this.#takesOver(reported)) return undefined;
    this.regions.set(Number(region.id), reported);
    this.onRegion(reported);
    return undefined;
  }

  #wrongReport({ header, region, leader }: ReportedRegion & Request): string | null {
    if (header?.cluster_id !== this.#clusterId) return this.#mismatch(header);
    if (leader === null) return "invalid request, the leader is nil";
    if (region === null || region.id === "0") return `invalid request region, ${region?.id}`;
    if (region.peers.length === 0) return "invalid region, zero region peer count";
    if (!this.stores.has(Number(leader.store_id))) return `invalid store ID ${leader.store_id}, not found`;
    if (!region.peers.some(({ id, store_id }) => id === leader.id && store_id === leader.store_id))
      return `region ${region.id} is led by ${leader.id}, which it does not have`;
    const stores = new Set(region.peers.map(({ store_id }) => store_id));
    if (stores.size < region.peers.length) return `region ${region.id} has two peers on one store`;
    return null;
  }

  /** `preCheckPutRegion`: what is older than what is known is dropped, what it covers is forgotten. */
  #takesOver({ region, term }: ReportedRegion): boolean {
    const known = this.regions.get(Number(region.id));
    if (known !== undefined && behind(region, known.region)) return false;
    if (known !== undefined && Number(term) < Number(known.term)) return false;
    const overlaps = [...this.regions.values()].filter(
      (other) => other.region.id !== region.id && overlap(other.region, region),
    );
    const version = Number(region.region_epoch.version);
    if (overlaps.some((other) => Number(other.region.region_epoch.version) > version)) return false;
    if (overlaps.some((other) => Number(other.region.region_epoch.version) === version))
      this.refusals.push(`region ${region.id} covers what another region of the same version has`);
    for (const other of overlaps) this.regions.delete(Number(other.region.id));
    return true;
  }
}

function behind(a: HeartbeatRegion, b: HeartbeatRegion): boolean {
  const [mine, known] = [a.region_epoch, b.region_epoch];
  return Number(mine.version) < Number(known.version) || Number(mine.conf_ver) < Number(known.conf_ver);
}

function overlap(a: HeartbeatRegion, b: HeartbeatRegion): boolean {
  const before = (end: Buffer, start: Buffer): boolean => end.length > 0 && end.compare(start) <= 0;
  return !before(a.end_key, b.start_key) && !before(b.end_key, a.start_key);
}

function older(version: string, than: string): boolean {
  const [mine, theirs] = [version, than].map((text) => text.split(".").map(Number));
  const at = [0, 1].find((part) => mine?.[part] !== theirs?.[part]);
  return at !== undefined && (mine?.[at] ?? 0) < (theirs?.[at] ?? 0);
}

/** Splits the first region at `keys` and gives every region a replica on each of `stores` stores. */
export function keepReplicated(pd: ScriptedPd, { stores, keys }: { stores: number; keys: readonly string[] }): void {
  const improve = ({ region, pending_peers }: ReportedRegion): void => {
    const id = Number(region.id);
    if (pending_peers.length > 0) return;
    if (region.start_key.length === 0 && region.end_key.length === 0 && keys.length > 0)
      return pd.ask(id, { split_region: { policy: 2, keys: keys.map((key) => Buffer.from(key)) } });
    const learner = region.peers.find(({ role }) => role === 1);
    if (learner !== undefined) return pd.ask(id, { change_peer: { peer: { ...learner, role: 0 }, change_type: 0 } });
    const missing = [...pd.stores.values()].find((store) => region.peers.every((peer) => peer.store_id !== store.id));
    if (pd.stores.size < stores || missing === undefined) return;
    pd.ask(id, { change_peer: { peer: { id: String(pd.nextId()), store_id: missing.id, role: 1 }, change_type: 2 } });
  };
  pd.onRegion = improve;
  pd.onStore = () => {
    for (const reported of pd.regions.values()) improve(reported);
  };
}
