import type { Clock, EpochMs } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { Random } from "../../../../harness/base/random.ts";
import { parseAddress } from "../../../common/link/dial.ts";
import type { LinkRules } from "../../../common/link/link-rules.ts";
import type { Hello } from "../../../common/link/peer-connection.ts";
import { listenOnePort, type OnePortServer } from "../../../common/one-port/one-port-server.ts";
import { FileRaftStorage } from "../../../common/raft/index.ts";
import { logOfNode, type AdjustableNodeLog } from "../node-log.ts";
import { bootstrapCluster, identify } from "./bootstrap.ts";
import type { DataDir, StoreIdentity } from "./data-dir.ts";
import { DiskHealth } from "./disk-health.ts";
import { drainLeaders } from "./drain.ts";
import { GrpcPort } from "./grpc-port.ts";
import type { StoreHeartbeatReply, StoreMessage } from "./pd-messages.ts";
import { PdSession } from "./pd-session.ts";
import { PdWorker } from "./pd-worker.ts";
import { decodeFrame } from "./raft-frame.ts";
import { RaftTransport } from "./raft-transport.ts";
import { RawApi } from "./raw-api.ts";
import type { ConfigController } from "./config/controller.ts";
import type { TikvSettings } from "./settings.ts";
import { statusListener } from "./status-server.ts";
import { Store } from "./store.ts";
import { watchStore } from "./store-metrics.ts";
import { TikvMetrics } from "./tikv-metrics.ts";
import { StoreHealth } from "./store-health.ts";
import { tikvGrpcServer } from "./tikv-service.ts";

export const VERSION = "8.5.7";
export const GIT_HASH = "9db56f31b7c5c1bbd5bd4ae1ff1ea0d1c4a97df2";

export interface TikvNodeOptions {
  readonly settings: TikvSettings;
  readonly config: ConfigController;
  readonly name: string;
  readonly dataDir: DataDir;
  readonly rules: LinkRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AdjustableNodeLog;
  /** What the program was called with, after its name. */
  readonly argv: readonly string[];
  /** Factor on every duration; 1 = as the real one. */
  readonly timeFactor: number;
  readonly startedAt: EpochMs;
  /** The process cannot go on. */
  onFatal(error: unknown): void;
}

/** raftstore.raft-base-tick-interval */
const TICK_MS = 1_000;
const DRAIN_MS = 20_000;
const GOODBYE_MS = 200;
/** pdpb.ControlGrpcEvent */
const PAUSE_GRPC = 0;
/** metapb.StoreState */
const TOMBSTONE = 2;

/** One TiKV: from its first word with PD to its last leader handed over. */
export class TikvNode {
  readonly #options: TikvNodeOptions;
  readonly #stop: AbortController;
  readonly #parts: Parts;
  readonly #grpc: GrpcPort;
  readonly #saidToClients: StoreHealth;
  #stopping = false;

  private constructor(options: TikvNodeOptions, stop: AbortController, parts: Parts) {
    this.#options = options;
    this.#stop = stop;
    this.#parts = parts;
    this.#saidToClients = new StoreHealth(parts.store.storeId, options.startedAt, () => parts.health.slowScore);
    this.#grpc = new GrpcPort(() => this.#listen(), options.clock, options.log);
  }

  /**
   * Resolves when it serves. Waits for PD as long as it takes.
   * @throws PdRefused (e.g. duplicated store address), HarnessError (cluster ID mismatch, port taken), StoreError.
   */
  static async start(options: TikvNodeOptions, signal: AbortSignal): Promise<TikvNode> {
    const { settings, log, clock, rules, timeFactor, dataDir } = options;
    const stop = new AbortController();
    const metrics = new TikvMetrics(options.startedAt, VERSION, GIT_HASH);
    const clusterId = dataDir.readIdentity()?.clusterId ?? null;
    const requests = metrics.pdRequests;
    const session = new PdSession({
      endpoints: settings.pdEndpoints,
      rules,
      clock,
      log,
      requests,
      reconnects: metrics.pdReconnects,
      timeFactor,
      clusterId,
    });
    await session.call("IsBootstrapped", {}, signal);
    log.info("server.rs:394", "connect to PD cluster", { cluster_id: session.clusterId });
    await session.timestamp(signal);
    const identity = await identify(dataDir, session, signal);
    const parts = await assemble(options, { identity, session, metrics, stop: stop.signal });
    const self = storeMessage(options, identity);
    const node = new TikvNode(options, stop, parts);
    // Before PD can name this store to anybody: official clients do not come back to an address that refused them.
    await node.#grpc.open();
    await bootstrapCluster({ dataDir, identity, store: parts.store, self, session, log, clock, timeFactor }, signal);
    log.info("node.rs:250", "put store to PD", { store_id: self.id });
    await session.call("PutStore", { store: self }, signal);
    await node.#serve();
    return node;
  }

  /** Hands leaders over, then lets go of everything. */
  async shutdown(): Promise<void> {
    const { clock, log, timeFactor } = this.#options;
    const { store, worker, transport } = this.#parts;
    this.#stopping = true;
    const reaches = (storeId: number): boolean => transport.reaches(storeId);
    const told = worker.current?.heartbeat();
    await drainLeaders(store, { boundMs: DRAIN_MS * timeFactor, clock, log, reaches });
    await told;
    // A watcher that does not read keeps nobody waiting.
    await Promise.race([this.#saidToClients.stop(), clock.sleep(GOODBYE_MS)]);
    this.#stop.abort();
    await worker.current?.[Symbol.asyncDispose]();
    await this.#grpc.close();
    for (const server of this.#parts.servers) await server.close();
    await this.#parts.transport[Symbol.asyncDispose]();
    await store.stop();
    this.#parts.health[Symbol.dispose]();
    await this.#parts.storage[Symbol.asyncDispose]();
  }

  async #listen(): Promise<OnePortServer> {
    const { settings, log, rules, clock } = this.#options;
    const { store, metrics } = this.#parts;
    const api = new RawApi(store, metrics, clock, this.#options.config);
    const listening = await listenOnePort({
      ...parseAddress(settings.addr),
      rules,
      log: logOfNode(log, "server.rs:600"),
      grpc: tikvGrpcServer({ api, health: this.#saidToClients, clock, failures: metrics.grpcFailures }),
      peer: (hello, frames) => this.#receive(hello, frames),
    });
    log.info("server.rs:316", "listening on addr", { addr: settings.addr });
    return listening;
  }

  async #serve(): Promise<void> {
    const { settings, log, rules } = this.#options;
    const { store, metrics, servers } = this.#parts;
    this.#parts.worker.current = this.#startWorker();
    void this.#tick();
    log.info("server.rs:360", "TiKV is ready to serve");
    if (settings.statusAddr === "") return;
    const http = statusListener({
      registry: metrics.registry,
      store,
      config: this.#options.config,
      argv: this.#options.argv,
      setLogLevel: (level) => log.setLevel(level),
      pauseGrpc: () => this.#grpc.pause(),
      resumeGrpc: () => this.#grpc.resume(),
    });
    const status = { ...parseAddress(settings.statusAddr), rules, log: logOfNode(log, "mod.rs:300"), http };
    servers.push(await listenOnePort(status));
    log.info("mod.rs:310", "status server listening", { addr: settings.statusAddr });
  }

  async #receive(hello: Hello, frames: AsyncIterable<Buffer>): Promise<void> {
    const { session, store, metrics } = this.#parts;
    if (hello.cluster !== session.clusterId) return;
    for await (const bytes of frames) {
      metrics.raftReceived.inc();
      try {
        store.receive(decodeFrame(bytes));
      } catch (error) {
        this.#options.onFatal(error);
        return;
      }
    }
  }

  #startWorker(): PdWorker {
    const { clock, random, log, timeFactor, startedAt } = this.#options;
    const { session, store, metrics, health, hasPast } = this.#parts;
    return new PdWorker({
      session,
      store,
      clock,
      log,
      random: random.fork("pd"),
      config: this.#options.config,
      timeFactor,
      hasPast,
      messages: metrics.pdHeartbeats,
      onReply: ({ control_grpc }) => this.#obey(control_grpc),
      stats: () => {
        const { capacity, available, used } = health.space.sizes();
        return {
          capacity: String(capacity),
          available: String(available),
          used_size: String(used),
          start_time: Math.floor(startedAt / 1000),
          slow_score: String(health.slowScore),
          is_grpc_paused: this.#grpc.paused,
          is_stopping: this.#stopping,
        };
      },
    });
  }

  /** PD's wish about requests, if it has one (`pdpb.ControlGrpc`). */
  #obey(control: StoreHeartbeatReply["control_grpc"]): void {
    if (control === null) return;
    const done = control.ctrl_event === PAUSE_GRPC ? this.#grpc.pause() : this.#grpc.resume();
    done.catch((error: unknown) => {
      this.#options.log.error("pd.rs:1110", "failed to control the grpc server", { err: errorText(error) });
    });
  }

  async #tick(): Promise<void> {
    const { clock, timeFactor } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(TICK_MS * timeFactor, signal).catch(() => {});
      if (!signal.aborted) this.#parts.store.tick();
    }
  }
}

interface Parts {
  readonly session: PdSession;
  readonly metrics: TikvMetrics;
  readonly storage: FileRaftStorage;
  readonly store: Store;
  readonly transport: RaftTransport;
  readonly servers: OnePortServer[];
  /** Set once the store may talk about itself. */
  readonly worker: { current: PdWorker | null };
  readonly health: DiskHealth;
  /** Its folder held a log when it started. */
  readonly hasPast: boolean;
}

async function assemble(
  { config, name, dataDir, rules, clock, random, log, startedAt, timeFactor, onFatal }: TikvNodeOptions,
  from: {
    readonly identity: StoreIdentity;
    readonly session: PdSession;
    readonly metrics: TikvMetrics;
    readonly stop: AbortSignal;
  },
): Promise<Parts> {
  const { identity, session, metrics } = from;
  const { storage, found } = await FileRaftStorage.open(dataDir.raftFolder);
  const worker: Parts["worker"] = { current: null };
  const health = new DiskHealth({ folder: dataDir.path, storage, config, metrics, clock, log, timeFactor, onFatal });
  health.watch(from.stop);
  const transport = new RaftTransport({
    name,
    clusterId: session.clusterId,
    rules,
    clock,
    log,
    backoffMs: config.duration("server.raft-client-max-backoff") * timeFactor,
    failures: metrics.linkFailures,
    full: metrics.channelFull,
    resolve: async (storeId, signal) => {
      const { store: there } = await session.call("GetStore", { store_id: String(storeId) }, signal);
      if (there === null || there.address === "") throw new Error(`store ${storeId} not found in PD`);
      if (there.state === TOMBSTONE) throw new Error(`store ${storeId} has been removed`);
      return there.address;
    },
    onUnreachable: (storeId) => store.unreachable(storeId),
  });
  const store = new Store({
    storeId: identity.storeId,
    storage: health.storage,
    found,
    clock,
    random,
    log,
    metrics: metrics.raft,
    timeFactor,
    diskUsage: () => health.space.usage,
    send: (storeId, frame) => transport.send(storeId, frame),
    onChanged: (peer) => worker.current?.report(peer),
    onSplit: (regions) => void worker.current?.reportSplit(regions),
    onFatal,
  });
  const pendingHeartbeats = (): number => worker.current?.pending ?? 0;
  watchStore(metrics, { store, transport, pendingHeartbeats, disk: () => health.space.sizes() }, startedAt);
  return { session, metrics, storage, store, transport, servers: [], worker, health, hasPast: found.size > 0 };
}

function storeMessage({ settings, startedAt }: TikvNodeOptions, { storeId }: StoreIdentity): StoreMessage {
  return {
    id: String(storeId),
    address: settings.advertiseAddr,
    status_address: settings.advertiseStatusAddr,
    version: VERSION,
    git_hash: GIT_HASH,
    start_timestamp: String(Math.floor(startedAt / 1000)),
    deploy_path: "/",
    labels: Object.entries(settings.labels).map(([key, value]) => ({ key, value })),
  };
}
