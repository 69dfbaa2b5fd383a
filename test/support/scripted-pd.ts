import { Server, ServerCredentials, type ServerDuplexStream, type sendUnaryData } from "@grpc/grpc-js";
import { pdService } from "../../subjects/tikv/proto/load.ts";

interface Reply {
  readonly [field: string]: unknown;
}

type Request = Readonly<Record<string, unknown>>;
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
}

/**
 * A PD of one member that keeps everything in memory: stores can bootstrap, heartbeat and split. It asks for nothing by
 * itself; a test says what a region's leader is to do with `ask`.
 */
export class ScriptedPd implements AsyncDisposable {
  readonly regions = new Map<number, ReportedRegion>();
  readonly stores = new Map<number, { readonly id: string; readonly address: string }>();
  readonly heartbeats: Readonly<Record<string, unknown>>[] = [];
  /** Called after every heartbeat of a region. */
  onRegion: (region: ReportedRegion) => void = () => {};
  onStore: () => void = () => {};
  readonly #server = new Server();
  readonly #streams = new Map<string, ServerDuplexStream<ReportedRegion, Reply>>();
  #lastId = 0;
  #bootstrapped = false;
  #port = 0;
  readonly #clusterId: string;

  constructor(clusterId = "7000000000000000001") {
    this.#clusterId = clusterId;
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    return Promise.resolve();
  }

  #header(): { readonly cluster_id: string } {
    return { cluster_id: this.#clusterId };
  }

  #handlers(): Record<string, unknown> {
    const member = () => ({ name: "pd0", member_id: "1", client_urls: [`http://${this.endpoint}`], peer_urls: [] });
    const answer =
      (reply: (request: Request) => Reply): Unary =>
      ({ request }, done) =>
        done(null, { header: this.#header(), ...reply(request) });
    return {
      GetMembers: answer(() => ({ members: [member()], leader: member(), etcd_leader: member() })),
      IsBootstrapped: answer(() => ({ bootstrapped: this.#bootstrapped })),
      AllocID: answer(() => ({ id: String(this.nextId()) })),
      Bootstrap: answer(() => {
        if (this.#bootstrapped)
          return { header: { ...this.#header(), error: { type: 4, message: "already bootstrapped" } } };
        this.#bootstrapped = true;
        return {};
      }),
      PutStore: answer(({ store }) => {
        const { id, address } = store as { id: string; address: string };
        const twin = [...this.stores.values()].find((other) => other.address === address && other.id !== id);
        if (twin !== undefined) {
          const message = `duplicated store address: id:${id} address:"${address}", already registered by id:${twin.id}`;
          return { header: { ...this.#header(), error: { type: 1, message } } };
        }
        this.stores.set(Number(id), { id, address });
        this.onStore();
        return {};
      }),
      GetStore: answer(({ store_id }) => ({ store: this.stores.get(Number(store_id)) ?? null })),
      GetRegionByID: answer(({ region_id }) => ({ region: this.regions.get(Number(region_id))?.region ?? null })),
      StoreHeartbeat: answer(({ stats }) => {
        this.heartbeats.push(stats as Request);
        return {};
      }),
      AskBatchSplit: answer(({ region, split_count }) => ({
        ids: Array.from({ length: Number(split_count) }, () => ({
          new_region_id: String(this.nextId()),
          new_peer_ids: (region as HeartbeatRegion).peers.map(() => String(this.nextId())),
        })),
      })),
      ReportBatchSplit: answer(() => ({})),
      RegionHeartbeat: (stream: ServerDuplexStream<ReportedRegion, Reply>) => {
        stream.on("data", (reported: ReportedRegion) => {
          this.#streams.set(reported.leader.store_id, stream);
          this.regions.set(Number(reported.region.id), reported);
          this.onRegion(reported);
        });
        stream.on("error", () => {});
        stream.on("end", () => stream.end());
      },
    };
  }
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
