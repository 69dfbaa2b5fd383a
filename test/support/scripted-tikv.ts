import { Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { healthService, pdService, tikvService } from "../../subjects/tikv/proto/load.ts";

export interface ScriptedRegion {
  id: string;
  start: string;
  end: string;
  version: number;
  /** Store id of the leader, or null while there is none. */
  leader: string | null;
}

/** What a store does with a call before the ordinary answer: a region error, silence, or a refusal. */
export type Twist = { region_error: object } | { error: string } | "silence" | "applied-then-silence" | "refuse" | null;

export interface RawCall {
  readonly store: string;
  readonly method: "RawGet" | "RawPut" | "RawDelete";
  readonly key: string;
  readonly region: string;
}

interface RawRequest {
  context: { region_id: string; region_epoch: { version: string } | null; peer: { store_id: string } | null };
  key: Buffer;
  value?: Buffer;
}

type Call<Request> = ServerUnaryCall<Request, object>;
type Reply = sendUnaryData<object>;

/**
 * PD members and three stores on real sockets, with one map of keys behind all of them. It answers as TiKV does (wrong
 * leader, wrong epoch, wrong region), and as the test says on top of that.
 */
export class ScriptedTikv implements AsyncDisposable {
  readonly data = new Map<string, string>();
  readonly calls: RawCall[] = [];
  regions: ScriptedRegion[] = [];
  /** What PD says when it differs from the truth. */
  pdSays: ((region: ScriptedRegion) => ScriptedRegion) | null = null;
  twist: (call: RawCall) => Twist = () => null;
  /** Name of the member that leads, as each member says it. */
  pdLeader: (member: string) => string | null = () => "pd0";
  pdRefuses: (member: string) => boolean = () => false;
  /** PD answers, but has heard of no region and no store, as one that lost what it knew. */
  pdKnowsNothing = false;
  unhealthy = new Set<string>();
  readonly pdCalls: string[] = [];
  readonly #servers = new Map<string, Server>();
  readonly #ports = new Map<string, number>();
  readonly #members: readonly string[];

  private constructor(members: readonly string[]) {
    this.#members = members;
  }

  static async start({ members = ["pd0"], regions = 3 } = {}): Promise<ScriptedTikv> {
    const cluster = new ScriptedTikv(members);
    const bounds = ["", ...[..."0123456789abcdef"].slice(1, regions).map((digit) => `k${digit}`), ""];
    cluster.regions = Array.from({ length: regions }, (_, index) => ({
      id: String(100 + index),
      start: bounds[index] ?? "",
      end: bounds[index + 1] ?? "",
      version: 1,
      leader: String((index % 3) + 1),
    }));
    for (const member of members) await cluster.#listen(member, cluster.#pdServer(member));
    for (const store of ["1", "2", "3"]) await cluster.#listen(`tikv${store}`, cluster.#storeServer(store));
    return cluster;
  }

  get pdEndpoints(): string[] {
    return this.#members.map((member) => `http://${member}:2379`);
  }

  /** Names that only the address book can resolve. */
  get advertised(): Record<string, string> {
    return Object.fromEntries(
      [...this.#ports].map(([name, port]) => [
        name.startsWith("pd") ? `http://${name}:2379` : `${name}:20160`,
        `127.0.0.1:${port}`,
      ]),
    );
  }

  /** The process is gone: its port refuses. */
  async kill(name: string): Promise<void> {
    this.#servers.get(name)?.forceShutdown();
    this.#servers.delete(name);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Again on the same port. */
  async restart(name: string): Promise<void> {
    const server = name.startsWith("pd") ? this.#pdServer(name) : this.#storeServer(name.replace("tikv", ""));
    await this.#listen(name, server, this.#ports.get(name));
  }

  regionOf(key: string): ScriptedRegion {
    const found = this.regions.find((region) => region.start <= key && (region.end === "" || key < region.end));
    if (found === undefined) throw new Error(`no region for ${key}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.#servers.keys()]) await this.kill(name);
  }

  async #listen(name: string, server: Server, port = 0): Promise<void> {
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
        error === null ? resolve(at) : reject(error),
      );
    });
    this.#ports.set(name, bound);
    this.#servers.set(name, server);
  }

  #pdServer(member: string): Server {
    const server = new Server();
    const header = { cluster_id: "7001" };
    const answer = (name: string, body: (request: never) => object) => (call: Call<never>, reply: Reply) => {
      this.pdCalls.push(`${member} ${name}`);
      if (this.pdRefuses(member)) reply({ code: status.UNAVAILABLE, details: "not leader" });
      else reply(null, { header, ...body(call.request) });
    };
    server.addService(pdService, {
      GetMembers: (_: Call<object>, reply: Reply) => {
        this.pdCalls.push(`${member} GetMembers`);
        const leader = this.pdLeader(member);
        const memberOf = (name: string) => ({ name, client_urls: [`http://${name}:2379`] });
        reply(null, {
          header,
          members: this.#members.map(memberOf),
          leader: leader === null ? null : memberOf(leader),
        });
      },
      GetRegion: answer("GetRegion", ({ region_key }: { region_key: Buffer }) => {
        if (this.pdKnowsNothing) return {};
        const truth = this.regionOf(region_key.toString());
        const said = this.pdSays?.(truth) ?? truth;
        return { region: regionMessage(said), leader: said.leader === null ? null : peerOf(said, said.leader) };
      }),
      GetStore: answer("GetStore", ({ store_id }: { store_id: string }) =>
        this.pdKnowsNothing ? {} : { store: { id: store_id, address: `tikv${store_id}:20160` } },
      ),
    } as never);
    return server;
  }

  #storeServer(store: string): Server {
    const server = new Server();
    const handle = (method: RawCall["method"]) => (call: Call<RawRequest>, reply: Reply) =>
      this.#raw(store, method, call.request, reply);
    server.addService(tikvService, {
      RawGet: handle("RawGet"),
      RawPut: handle("RawPut"),
      RawDelete: handle("RawDelete"),
    } as never);
    server.addService(healthService, {
      Check: (_: Call<object>, reply: Reply) => {
        if (!this.unhealthy.has(store)) reply(null, { status: 1 });
      },
    } as never);
    return server;
  }

  #raw(store: string, method: RawCall["method"], request: RawRequest, reply: Reply): void {
    const key = request.key.toString();
    const call: RawCall = { store, method, key, region: request.context.region_id };
    this.calls.push(call);
    const twist = this.twist(call);
    if (twist === "silence") return;
    if (twist === "refuse") return reply({ code: status.UNAVAILABLE, details: "refused" });
    if (twist === "applied-then-silence") {
      this.#apply(method, key, request.value);
      return;
    }
    if (twist !== null) return reply(null, twist);
    const regionError = this.#check(store, key, request);
    if (regionError !== null) return reply(null, { region_error: regionError });
    reply(null, this.#apply(method, key, request.value));
  }

  #check(store: string, key: string, { context }: RawRequest): object | null {
    const region = this.regions.find(({ id }) => id === context.region_id);
    if (region === undefined) return { message: "gone", region_not_found: { region_id: context.region_id } };
    if (region.leader !== store) {
      const leader = region.leader === null ? null : peerOf(region, region.leader);
      return { message: "not leader", not_leader: { region_id: region.id, leader } };
    }
    if (String(region.version) !== context.region_epoch?.version)
      return { message: "epoch", epoch_not_match: { current_regions: this.regions.map(regionMessage) } };
    const inside = region.start <= key && (region.end === "" || key < region.end);
    return inside ? null : { message: "key", key_not_in_region: { region_id: region.id } };
  }

  #apply(method: RawCall["method"], key: string, value: Buffer | undefined): object {
    if (method === "RawPut") this.data.set(key, value?.toString() ?? "");
    if (method === "RawDelete") this.data.delete(key);
    const found = this.data.get(key);
    return method === "RawGet" ? { value: Buffer.from(found ?? ""), not_found: found === undefined } : {};
  }
}

function peerOf(region: ScriptedRegion, store: string): object {
  return { id: `${region.id}${store}`, store_id: store };
}

function regionMessage(region: ScriptedRegion): object {
  return {
    id: region.id,
    start_key: Buffer.from(region.start),
    end_key: Buffer.from(region.end),
    region_epoch: { conf_ver: "1", version: String(region.version) },
    peers: ["1", "2", "3"].map((store) => peerOf(region, store)),
  };
}
