import { status as Code, type MethodDefinition } from "@grpc/grpc-js";
import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText, HarnessError } from "../../../../harness/base/errors.ts";
import { parseAddress } from "../../../common/link/dial.ts";
import type { LinkRules } from "../../../common/link/link-rules.ts";
import { GrpcError, NodeGrpcClient, type BidiCall } from "../../../common/link/node-grpc-client.ts";
import type { Counter, Histogram } from "../../../common/metrics/registry.ts";
import { pdService } from "../../proto/load.ts";
import type { NodeLog } from "../node-log.ts";
import type { GetMembersReply, PdCalls, RegionHeartbeatReply, ReplyHeader } from "./pd-messages.ts";

/** PD understood the request and said no. `type` is `pdpb.ErrorType`, 1 when it was a gRPC status. */
export class PdRefused extends Error {
  readonly type: number;
  constructor(type: number, message: string) {
    super(message);
    this.name = "PdRefused";
    this.type = type;
  }
}

export interface PdSessionOptions {
  readonly endpoints: readonly string[];
  readonly rules: LinkRules;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly requests: Histogram;
  /** By type (success, failure): attempts to find the leader again. */
  readonly reconnects: Counter;
  /** Factor on every duration. */
  readonly timeFactor: number;
  /** The cluster that the data belongs to; null = none yet. */
  readonly clusterId: string | null;
}

const RETRY_MS = 300;
const RETRY_LOG_EVERY = 10;
const REQUEST_TIMEOUT_MS = 2_000;
const LEAST_TIMEOUT_MS = 1_000;
/** So many answers in a row that did not come in time: the leader may be another by now. */
const LATE_AT_MOST = 2;
/** LEADER_CHANGE_RETRY (tikv/tikv:components/pd_client/src/client.rs) */
const TIMESTAMP_TRIES = 10;

/** Methods as metrics name them. */
const METRIC_NAMES: Readonly<Record<string, string>> = {
  IsBootstrapped: "is_cluster_bootstrapped",
  Bootstrap: "bootstrap_cluster",
  AllocID: "alloc_id",
  PutStore: "put_store",
  GetStore: "get_store",
  GetRegionByID: "get_region_by_id",
  StoreHeartbeat: "store_heartbeat",
  AskBatchSplit: "ask_batch_split",
  ReportBatchSplit: "report_batch_split",
  GetMembers: "get_members",
};

/** A store's way to whoever leads PD now: asks every member who that is, and follows when it changes. */
export class PdSession implements AsyncDisposable {
  readonly #options: PdSessionOptions;
  readonly #listeners = new Set<() => void>();
  #urls: readonly string[];
  #clusterId: string | null;
  #leader: { readonly url: string; readonly client: NodeGrpcClient } | null = null;
  #lastUrl: string | null = null;
  /** How often in a row no leader was found. */
  #inVain = 0;
  /** Calls in a row that timed out at this leader. */
  #late = 0;
  #finding: Promise<void> | null = null;

  constructor(options: PdSessionOptions) {
    this.#options = options;
    this.#urls = options.endpoints;
    this.#clusterId = options.clusterId;
  }

  /** Known once PD has been reached. */
  get clusterId(): string {
    return this.#clusterId ?? "0";
  }

  /** Calls `listener` whenever another member leads than before. */
  onLeader(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Retries on every member until one answers as leader.
   * @throws PdRefused; HarnessError `not-ours` when PD belongs to another cluster; the signal's reason.
   */
  async call<Name extends keyof PdCalls>(
    name: Name,
    request: PdCalls[Name]["request"],
    signal: AbortSignal,
  ): Promise<PdCalls[Name]["reply"]> {
    for (;;) {
      const leader = await this.#findLeader(signal);
      try {
        const reply = (await this.#unary(leader.client, name, request, signal)) as PdCalls[Name]["reply"];
        this.#late = 0;
        return reply;
      } catch (error) {
        signal.throwIfAborted();
        if (!isTransient(error)) throw error;
        this.#options.log.error("util.rs:420", "request failed, retry", { name, err: errorText(error) });
        // A new connection means a new heartbeat stream and every region's report: a PD that is merely slow drowns in it.
        if (!isTimeout(error) || ++this.#late >= LATE_AT_MOST) this.#lose(leader.client);
        await this.#options.clock.sleep(RETRY_MS * this.#options.timeFactor, signal);
      }
    }
  }

  /** The heartbeat stream of regions, to the leader of now. @throws as `call`. */
  async heartbeats(signal: AbortSignal): Promise<BidiCall<object, RegionHeartbeatReply>> {
    const { client } = await this.#findLeader(signal);
    try {
      return await client.bidi(methodOf<object, RegionHeartbeatReply>("RegionHeartbeat"), signal);
    } catch (error) {
      this.#lose(client);
      throw error;
    }
  }

  /**
   * Every TiKV wants a timestamp before it serves, whatever its clients ask for.
   * @throws HarnessError `failed to get timestamp from PD` when none comes; the signal's reason.
   */
  async timestamp(signal: AbortSignal): Promise<void> {
    const { clock, timeFactor } = this.#options;
    let last: unknown = null;
    for (let left = TIMESTAMP_TRIES; left > 0; left--) {
      const { client } = await this.#findLeader(signal);
      const timeout = AbortSignal.timeout(Math.max(LEAST_TIMEOUT_MS, REQUEST_TIMEOUT_MS * timeFactor));
      const started = clock.monotonic();
      try {
        const method = methodOf<object, { readonly header: ReplyHeader | null }>("Tso");
        await using stream = await client.bidi(method, AbortSignal.any([signal, timeout]));
        stream.write({ header: this.header(), count: 1 });
        for await (const _ of stream.responses) {
          this.#options.requests.observe({ type: "tso" }, (clock.monotonic() - started) / 1000);
          return;
        }
      } catch (error) {
        signal.throwIfAborted();
        last = error;
        this.#lose(client);
      }
      await clock.sleep(RETRY_MS * timeFactor, signal);
    }
    throw new HarnessError("timeout", `failed to get timestamp from PD: ${errorText(last)}`, { cause: last });
  }

  header(): { readonly cluster_id: string } {
    return { cluster_id: this.clusterId };
  }

  /** What is known about the leader is doubtful: the next call asks again. */
  suspect(): void {
    if (this.#leader !== null) this.#lose(this.#leader.client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leader?.client[Symbol.asyncDispose]();
  }

  async #unary(client: NodeGrpcClient, name: string, request: object, signal: AbortSignal): Promise<unknown> {
    const { clock, requests, timeFactor } = this.#options;
    const started = clock.monotonic();
    const timeout = AbortSignal.timeout(Math.max(LEAST_TIMEOUT_MS, REQUEST_TIMEOUT_MS * timeFactor));
    try {
      const reply = await client.unary(
        methodOf<object, { readonly header: ReplyHeader | null }>(name),
        { header: this.header(), ...request },
        AbortSignal.any([signal, timeout]),
      );
      const error = reply.header?.error ?? null;
      if (error !== null && error.type !== 0) throw new PdRefused(error.type, error.message);
      return reply;
    } finally {
      requests.observe({ type: METRIC_NAMES[name] ?? name }, (clock.monotonic() - started) / 1000);
    }
  }

  #lose(client: NodeGrpcClient): void {
    if (this.#leader?.client !== client) return;
    this.#late = 0;
    this.#leader = null;
    void client[Symbol.asyncDispose]();
  }

  async #findLeader(signal: AbortSignal): Promise<{ readonly url: string; readonly client: NodeGrpcClient }> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#leader !== null) return this.#leader;
      this.#finding ??= this.#ask(signal).finally(() => (this.#finding = null));
      await this.#finding;
      if (this.#leader === null) await this.#options.clock.sleep(RETRY_MS * this.#options.timeFactor, signal);
    }
  }

  /** Asks all members at once; the first that names a leader is believed. */
  async #ask(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const found = await Promise.any(this.#urls.map((url) => this.#askOne(url, signal))).catch((error: unknown) => {
      if (error instanceof AggregateError) {
        const foreign = error.errors.find((inner) => inner instanceof HarnessError);
        if (foreign !== undefined) throw foreign;
      }
      return null;
    });
    signal.throwIfAborted();
    const url = found?.leader?.client_urls[0];
    if (this.#lastUrl !== null) this.#options.reconnects.inc({ type: url === undefined ? "failure" : "success" });
    if (found === null || url === undefined) {
      this.#complain();
      return;
    }
    this.#urls = [...new Set([...this.#options.endpoints, ...found.members.flatMap((member) => member.client_urls)])];
    this.#leader = { url, client: new NodeGrpcClient(parseAddress(url), this.#options.rules) };
    if (this.#lastUrl === null)
      log.info("util.rs:610", "all PD endpoints are consistent", { endpoints: this.#options.endpoints.join() });
    else if (this.#lastUrl !== url)
      log.info("util.rs:310", "update pd client", { prev_leader: this.#lastUrl, leader: url });
    this.#lastUrl = url;
    this.#inVain = 0;
    for (const listener of this.#listeners) listener();
  }

  /** Nobody leads, or nobody answers: said now and then (pd.retry-log-every) before the first start, else every time. */
  #complain(): void {
    const { log } = this.#options;
    const err = 'Other("[components/pd_client/src/util.rs:599]: PD cluster failed to respond")';
    if (this.#lastUrl !== null) log.warn("util.rs:760", "reconnect failed", { err });
    else if (this.#inVain % RETRY_LOG_EVERY === 0) log.warn("client.rs:170", "validate PD endpoints failed", { err });
    this.#inVain++;
  }

  async #askOne(url: string, signal: AbortSignal): Promise<GetMembersReply> {
    const { log, rules } = this.#options;
    await using client = new NodeGrpcClient(parseAddress(url), rules);
    try {
      const reply = (await this.#unary(client, "GetMembers", {}, signal)) as GetMembersReply;
      this.#checkCluster(reply.header?.cluster_id ?? "0");
      if (reply.leader === null || reply.leader.client_urls.length === 0) throw new Error("it knows no leader");
      return reply;
    } catch (error) {
      if (!signal.aborted) log.info("util.rs:575", "PD failed to respond", { endpoints: url, err: errorText(error) });
      throw error;
    }
  }

  #checkCluster(remote: string): void {
    this.#clusterId ??= remote;
    if (this.#clusterId === remote) return;
    throw new HarnessError(
      "not-ours",
      `cluster ID mismatch, local ${this.#clusterId} != remote ${remote}, you are trying to connect to another cluster, please reconnect to the correct PD`,
    );
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

/** Whether another member, or the same one later, may do better. */
function isTransient(error: unknown): boolean {
  if (error instanceof PdRefused) return /not leader|no leader/i.test(error.message);
  if (!(error instanceof GrpcError)) return isTimeout(error);
  const transient: readonly number[] = [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED];
  return transient.includes(error.code) || /not leader|no leader|not started/i.test(error.message);
}

function methodOf<Request, Reply>(name: string): MethodDefinition<Request, Reply> {
  const method = pdService[name];
  if (method === undefined) throw new HarnessError("internal", `PD has no method ${name}`);
  return method as unknown as MethodDefinition<Request, Reply>;
}
