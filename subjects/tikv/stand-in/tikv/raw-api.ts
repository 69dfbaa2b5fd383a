import type { Clock } from "../../../../harness/base/clock.ts";
import { checksumOf } from "./checksum.ts";
import type { WriteOp } from "./command.ts";
import type { Family } from "./families.ts";
import type { QueryKind } from "./peer-flow.ts";
import { familyOf, refusedRequest } from "./raw-refusals.ts";
import {
  latin1,
  METRIC_TYPES,
  type RawKind,
  type RawPair,
  type RawReply,
  type RawRequest,
  type RequestContext,
} from "./raw-request.ts";
import { closedRanges, scanRange, withinRegion } from "./raw-scan.ts";
import { deadlineExceeded, entryTooLarge, errorStatus, type RegionError } from "./region-errors.ts";
import { checkRequest, type Checked, type Ready, type WantedKeys } from "./request-check.ts";
import type { CasOutcome } from "./region-state.ts";
import type { Store } from "./store.ts";
import type { ConfigController } from "./config/controller.ts";
import type { TikvMetrics } from "./tikv-metrics.ts";

interface Written {
  readonly error: RegionError | null;
  readonly cas: readonly CasOutcome[];
}

/** The raw key-value API of one store (kvproto `Tikv`, Raw*): each request is checked as TiKV checks it, then done. */
export class RawApi {
  readonly #store: Store;
  readonly #metrics: TikvMetrics;
  readonly #clock: Clock;
  readonly #config: ConfigController;

  constructor(store: Store, metrics: TikvMetrics, clock: Clock, config: ConfigController) {
    this.#config = config;
    this.#store = store;
    this.#metrics = metrics;
    this.#clock = clock;
    // They exist from the beginning, so that a rate of failures is 0 and not unknown.
    for (const type of Object.values(METRIC_TYPES)) metrics.grpcFailures.bind({ type });
  }

  /** Never rejects: what goes wrong is in the reply. */
  async handle(kind: RawKind, request: RawRequest): Promise<RawReply> {
    const started = this.#clock.monotonic();
    const type = METRIC_TYPES[kind];
    this.#metrics.commands.inc({ type });
    const reply = refusedRequest(kind, request) ?? (await this.#dispatch(kind, request));
    this.#metrics.grpcDuration.observe({ type, priority: "normal" }, (this.#clock.monotonic() - started) / 1000);
    return reply;
  }

  #dispatch(kind: RawKind, request: RawRequest): Promise<RawReply> {
    // Requests about ranges and lists have no such field.
    const key = "key" in request ? latin1(request.key) : "";
    const family = familyOf(request.cf) ?? "default";
    switch (kind) {
      case "RawGet":
        return this.#get(request, [key], family, ([found]) =>
          found === undefined ? { not_found: true } : { value: found.value },
        );
      case "RawBatchGet":
        return this.#get(request, request.keys.map(latin1), family, (pairs) => ({ pairs }));
      case "RawGetKeyTTL":
        return this.#get(request, [key], family, ([found]) =>
          found === undefined ? { not_found: true } : { ttl: "0" },
        );
      case "RawScan":
        return this.#scan({ ...request, ranges: [request], each_limit: request.limit }, family);
      case "RawBatchScan":
        return this.#scan(request, family);
      case "RawChecksum":
        return this.#checksum(request);
      case "RawPut":
        return this.#write(request, "Put", [{ kind: "put", key, value: request.value }], family);
      case "RawBatchPut": {
        const puts = request.pairs.map((pair) => ({ kind: "put" as const, key: latin1(pair.key), value: pair.value }));
        return this.#write(request, "Put", puts, family);
      }
      case "RawDelete":
        return this.#write(request, "Delete", [{ kind: "delete", key }], family);
      case "RawBatchDelete": {
        const deletes = request.keys.map((one) => ({ kind: "delete" as const, key: latin1(one) }));
        return this.#write(request, "Delete", deletes, family);
      }
      case "RawDeleteRange": {
        const [start, end] = [latin1(request.start_key), latin1(request.end_key)];
        return this.#write(request, "DeleteRange", [{ kind: "delete-range", start, end }], family);
      }
      case "RawCompareAndSwap": {
        const expected = request.previous_not_exist ? null : request.previous_value;
        return this.#write(request, "Put", [{ kind: "cas", key, value: request.value, expected }], family);
      }
    }
  }

  // ---------------------------------------------------------------------------------------------- reads

  #get(
    { context }: RawRequest,
    keys: readonly string[],
    family: Family,
    answer: (found: readonly RawPair[]) => RawReply,
  ): Promise<RawReply> {
    return this.#read(context, { at: keys }, ({ state, peer }) => {
      peer.flow.asked("Get", keys.length);
      const found = keys.flatMap((key) => {
        const value = state.values.of(family).get(key);
        peer.flow.read(value === undefined ? 0 : key.length + value.length);
        return value === undefined ? [] : [{ key: Buffer.from(key, "latin1"), value }];
      });
      return answer(found);
    });
  }

  #scan({ context, ranges, each_limit, reverse, key_only }: RawRequest, family: Family): Promise<RawReply> {
    const starts = ranges.map(({ start_key }) => latin1(start_key)).filter((start) => !reverse || start !== "");
    return this.#read(context, { at: [], around: starts }, ({ state, region, peer }) => {
      const order = { reverse, limit: each_limit, keyOnly: key_only };
      const values = state.values.of(family);
      const kvs = closedRanges(ranges).flatMap((range) => scanRange(values, region, range, order));
      peer.flow.asked("Scan", ranges.length);
      for (const { key, value } of kvs) peer.flow.read(key.length + value.length);
      return { kvs };
    });
  }

  #checksum({ context, ranges }: RawRequest): Promise<RawReply> {
    const starts = ranges.map(({ start_key }) => latin1(start_key));
    return this.#read(context, { at: [], around: starts }, ({ state, region }) => {
      const order = { reverse: false, limit: Infinity, keyOnly: false };
      const values = state.values.of("default");
      const all = checksumOf(ranges.flatMap((range) => scanRange(values, region, range, order)));
      return { checksum: String(all.checksum), total_kvs: String(all.kvs), total_bytes: String(all.bytes) };
    });
  }

  async #read(context: RequestContext | null, keys: WantedKeys, answer: (ready: Ready) => RawReply): Promise<RawReply> {
    const started = this.#clock.monotonic();
    const checked = await this.#readable(context, keys, started);
    const error = "error" in checked ? checked.error : null;
    this.#count("snapshot", error, started);
    return "error" in checked ? { region_error: checked.error } : answer(checked);
  }

  /**
   * A stale read without a time of its own, as raw ones are, is answered by any replica from what it has applied; a
   * replica read by any that has asked the leader how far that must be; every other one by the leader.
   */
  async #readable(context: RequestContext | null, keys: WantedKeys, started: number): Promise<Checked> {
    const stale = context?.stale_read === true;
    const check = (): Checked => checkRequest(this.#store, context, keys, !stale && context?.replica_read !== true);
    const before = check();
    if ("error" in before || stale) return before;
    const error = await before.peer.readBarrier();
    if (error !== null) return { error };
    if (this.#isLate(context, started)) return { error: deadlineExceeded() };
    // The region may have been split while the barrier was on its way.
    return check();
  }

  // ---------------------------------------------------------------------------------------------- writes

  async #write({ context }: RawRequest, query: QueryKind, ops: readonly WriteOp[], family: Family): Promise<RawReply> {
    const started = this.#clock.monotonic();
    const { error, cas } = await this.#tryWrite(context, query, ops, family, started);
    this.#count("write", error, started);
    if (ops[0]?.kind === "cas") {
      const seconds = (this.#clock.monotonic() - started) / 1000;
      this.#metrics.schedulerCommands.observe({ type: "raw_compare_and_swap" }, seconds);
    }
    if (error !== null) return { region_error: error };
    const [swap] = cas;
    if (swap === undefined) return {};
    const { succeeded, previous } = swap;
    return {
      succeed: succeeded,
      previous_not_exist: previous === null,
      previous_value: previous ?? Buffer.alloc(0),
    };
  }

  async #tryWrite(
    context: RequestContext | null,
    query: QueryKind,
    ops: readonly WriteOp[],
    family: Family,
    started: number,
  ): Promise<Written> {
    const refused = (error: RegionError): Written => ({ error, cas: [] });
    const keys = ops.map((op) => (op.kind === "delete-range" ? op.start : op.key));
    const ready = checkRequest(this.#store, context, { at: keys }, true);
    if ("error" in ready) return refused(ready.error);
    const { peer, region } = ready;
    const bytes = ops.reduce((sum, op) => sum + sizeOf(op), 0);
    if (bytes > this.#config.bytes("raftstore.raft-entry-max-size")) return refused(entryTooLarge(region.id, bytes));
    if (this.#isLate(context, started)) return refused(deadlineExceeded());
    this.#metrics.raft.requestWait(this.#clock.monotonic() - started);
    peer.flow.asked(query, ops.length);
    const bounded = ops.map((op): WriteOp => {
      const inside = op.kind === "delete-range" ? { ...op, end: withinRegion(region, op.end) } : op;
      return family === "default" ? inside : { ...inside, family };
    });
    const result = await peer.write(bounded, region.epoch.version, query === "Delete" || query === "DeleteRange");
    return result.ok ? { error: null, cas: result.cas } : refused(result.error);
  }

  /** The client has given up by now: nothing is begun any more. */
  #isLate(context: RequestContext | null, started: number): boolean {
    const limit = Number(context?.max_execution_duration_ms ?? 0);
    return limit > 0 && this.#clock.monotonic() - started > limit;
  }

  #count(type: "write" | "snapshot", error: RegionError | null, started: number): void {
    const { engineRequests, engineDuration } = this.#metrics;
    engineRequests.inc({ type, status: "all" });
    engineRequests.inc({ type, status: error === null ? "success" : errorStatus(error) });
    if (error === null) engineDuration.observe({ type }, (this.#clock.monotonic() - started) / 1000);
  }
}

function sizeOf(op: WriteOp): number {
  if (op.kind === "delete-range") return op.start.length + op.end.length;
  return op.key.length + ("value" in op ? op.value.length : 0);
}
