import { credentials, type Client, type ClientDuplexStream } from "@grpc/grpc-js";
import { PdClientConstructor, TikvClientConstructor } from "../subjects/tikv/proto/load.ts";
import { EtcdKv, type EtcdCluster } from "./etcd-cluster.ts";

/** One way to write a pair; resolves when it is acknowledged. */
export interface PutTarget extends Disposable {
  readonly name: string;
  put(key: Buffer, value: Buffer): Promise<void>;
}

type Unary<Reply> = (request: object, done: (error: Error | null, reply?: Reply) => void) => void;

function call<Reply>(client: Client, method: string, request: object): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const run = (client as unknown as Record<string, Unary<Reply>>)[method] as Unary<Reply>;
    run.call(client, request, (error, reply) => (error === null ? resolve(reply as Reply) : reject(error)));
  });
}

/** One call a put, on one connection to the member that leads. */
export function etcdTarget(etcd: EtcdCluster, version: string): PutTarget {
  const client = new EtcdKv(etcd.leader, credentials.createInsecure());
  return {
    name: `etcd ${version}, KV.Put`,
    put: (key, value) => call(client, "Put", { key, value }),
    [Symbol.dispose]: () => client.close(),
  };
}

interface Peer {
  readonly id: string;
  readonly store_id: string;
}

interface Route {
  readonly end: Buffer;
  readonly context: object;
  readonly storeId: string;
}

interface Reply {
  readonly region_error: object | null;
  readonly error: string;
}

interface Members {
  readonly header: { readonly cluster_id: string };
  readonly leader: { readonly name: string };
  readonly members: readonly { readonly name: string; readonly client_urls: readonly string[] }[];
}

interface Regions {
  readonly region_metas: readonly { readonly id: string; readonly end_key: Buffer; readonly region_epoch: object }[];
  readonly leaders: readonly Peer[];
}

/** Regions as PD names them, asked again when a store refuses, and a connection to every store. */
export class Routes implements Disposable {
  readonly clients = new Map<string, Client>();
  readonly #pd: Client;
  readonly #header: object;
  #routes: readonly Route[] = [];
  #asking: Promise<void> | null = null;

  private constructor(pd: Client, header: object) {
    this.#pd = pd;
    this.#header = header;
  }

  static async open(pdUrls: readonly string[]): Promise<Routes> {
    const dial = (url: string): Client => new PdClientConstructor(new URL(url).host, credentials.createInsecure());
    const any = dial(pdUrls[0] ?? "");
    const { header, leader, members } = await call<Members>(any, "GetMembers", {});
    any.close();
    const url = members.find(({ name }) => name === leader.name)?.client_urls[0] ?? "";
    const routes = new Routes(dial(url), header);
    await routes.learn();
    return routes;
  }

  of(key: Buffer): Route {
    return this.#routes.find(({ end }) => end.length === 0 || key.compare(end) < 0) as Route;
  }

  /** Calls while one is under way share it. */
  learn(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const header = this.#header;
    const { region_metas, leaders } = await call<Regions>(this.#pd, "ScanRegions", { header, limit: 1_000 });
    this.#routes = region_metas.map(({ id, end_key, region_epoch }, at) => {
      const peer = leaders[at] as Peer;
      return { end: end_key, context: { region_id: id, region_epoch, peer }, storeId: peer.store_id };
    });
    for (const { storeId } of this.#routes) {
      if (this.clients.has(storeId)) continue;
      interface Stored {
        readonly store: { readonly address: string };
      }
      const { store } = await call<Stored>(this.#pd, "GetStore", { header, store_id: storeId });
      this.clients.set(storeId, new TikvClientConstructor(store.address, credentials.createInsecure()));
    }
  }

  [Symbol.dispose](): void {
    this.#pd.close();
    for (const client of this.clients.values()) client.close();
  }
}

const MAX_ATTEMPTS = 100;

/** Leaders move for a while after a cluster's start: whoever is refused asks PD and tries again. */
async function untilAcknowledged(routes: Routes, key: Buffer, send: (route: Route) => Promise<Reply>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { region_error, error } = await send(routes.of(key));
    if (region_error === null && error === "") return;
    if (attempt === MAX_ATTEMPTS) throw new Error(`a put was refused: ${error}${JSON.stringify(region_error)}`);
    await routes.learn();
  }
}

/** One call a put, as to etcd. */
export function unaryTarget(routes: Routes): PutTarget {
  return {
    name: "embedded, RawPut",
    put: (key, value) =>
      untilAcknowledged(routes, key, ({ context, storeId }) =>
        call<Reply>(routes.clients.get(storeId) as Client, "RawPut", { context, key, value }),
      ),
    [Symbol.dispose]: () => {},
  };
}

interface BatchReplies {
  readonly responses: readonly { readonly RawPut: Reply }[];
  readonly request_ids: readonly string[];
}

const MAX_BATCH = 128;

/** One stream to each store, what is asked in one turn of the loop together: as TiKV's official clients do. */
export function batchTarget(routes: Routes): PutTarget {
  const streams = new Map([...routes.clients].map(([storeId, client]) => [storeId, new BatchStream(client)]));
  return {
    name: "embedded, BatchCommands",
    put: (key, value) =>
      untilAcknowledged(routes, key, ({ context, storeId }) =>
        (streams.get(storeId) as BatchStream).put({ context, key, value }),
      ),
    [Symbol.dispose]: () => {
      for (const stream of streams.values()) stream.end();
    },
  };
}

class BatchStream {
  readonly #stream: ClientDuplexStream<object, BatchReplies>;
  readonly #waiting = new Map<string, { resolve(reply: Reply): void; reject(error: Error): void }>();
  #queue: { readonly id: string; readonly request: object }[] = [];
  #lastId = 0;

  constructor(client: Client) {
    const open = client as unknown as { BatchCommands(): ClientDuplexStream<object, BatchReplies> };
    this.#stream = open.BatchCommands();
    this.#stream.on("data", ({ responses, request_ids }: BatchReplies) => {
      request_ids.forEach((id, at) => {
        this.#waiting.get(id)?.resolve((responses[at] as BatchReplies["responses"][number]).RawPut);
        this.#waiting.delete(id);
      });
    });
    this.#stream.on("error", (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
    });
  }

  put(request: object): Promise<Reply> {
    if (this.#queue.length === 0) setImmediate(() => this.#flush());
    const id = String(++this.#lastId);
    this.#queue.push({ id, request: { RawPut: request } });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  end(): void {
    this.#stream.end();
  }

  #flush(): void {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MAX_BATCH);
      this.#stream.write({ requests: batch.map(({ request }) => request), request_ids: batch.map(({ id }) => id) });
    }
  }
}
