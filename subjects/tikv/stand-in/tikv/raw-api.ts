import type { Clock } from "../../../../harness/base/clock.ts";
import type { WriteOp } from "./command.ts";
import {
  entryTooLarge,
  epochNotMatch,
  errorStatus,
  keyNotInRegion,
  mismatchPeerId,
  regionNotFound,
  staleCommand,
  storeNotMatch,
  type RegionError,
} from "./region-errors.ts";
import type { RegionPeer } from "./region-peer.ts";
import type { CasOutcome, RegionState } from "./region-state.ts";
import { regionHolds, type Region } from "./region.ts";
import type { Store } from "./store.ts";
import type { TikvMetrics } from "./tikv-metrics.ts";

/** `kvrpcpb.Context` as the loader gives it. */
export interface RequestContext {
  readonly region_id: string;
  readonly region_epoch: { readonly conf_ver: string; readonly version: string } | null;
  readonly peer: { readonly id: string; readonly store_id: string } | null;
  readonly term: string;
}

interface Pair {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Every raw request's fields; each kind has the ones it needs. */
export interface RawRequest {
  readonly context: RequestContext | null;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly keys: readonly Buffer[];
  readonly pairs: readonly Pair[];
  readonly start_key: Buffer;
  readonly end_key: Buffer;
  readonly limit: number;
  readonly key_only: boolean;
  readonly reverse: boolean;
  readonly previous_not_exist: boolean;
  readonly previous_value: Buffer;
}

export type RawReply = Readonly<Record<string, unknown>>;
export type RawKind = keyof typeof METRIC_TYPES;

/** RPC -> `type` in metrics. */
export const METRIC_TYPES = {
  RawGet: "raw_get",
  RawBatchGet: "raw_batch_get",
  RawPut: "raw_put",
  RawBatchPut: "raw_batch_put",
  RawDelete: "raw_delete",
  RawBatchDelete: "raw_batch_delete",
  RawScan: "raw_scan",
  RawDeleteRange: "raw_delete_range",
  RawCompareAndSwap: "raw_compare_and_swap",
} as const;

/** raftstore.raft-entry-max-size */
const MAX_ENTRY_BYTES = 8 << 20;

interface Ready {
  readonly peer: RegionPeer;
  readonly state: RegionState;
  readonly region: Region;
}

/** The raw key-value API of one store (kvproto `Tikv`, Raw*): each request is checked as TiKV checks it, then done. */
export class RawApi {
  readonly #store: Store;
  readonly #metrics: TikvMetrics;
  readonly #clock: Clock;

  constructor(store: Store, metrics: TikvMetrics, clock: Clock) {
    this.#store = store;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** Never rejects: what goes wrong is in the reply. */
  async handle(kind: RawKind, request: RawRequest): Promise<RawReply> {
    const started = this.#clock.monotonic();
    const type = METRIC_TYPES[kind];
    this.#metrics.commands.inc({ type });
    const reply = await this.#dispatch(kind, request);
    this.#metrics.grpcDuration.observe({ type, priority: "normal" }, (this.#clock.monotonic() - started) / 1000);
    return reply;
  }

  #dispatch(kind: RawKind, request: RawRequest): Promise<RawReply> {
    const { context } = request;
    // Requests about ranges and lists have no such field.
    const key = "key" in request ? latin1(request.key) : "";
    switch (kind) {
      case "RawGet":
        return this.#read(context, [key], ({ state, peer }) => {
          const value = state.values.get(key);
          peer.countRead(value?.length ?? 0);
          return value === undefined ? { not_found: true } : { value };
        });
      case "RawBatchGet":
        return this.#read(context, request.keys.map(latin1), ({ state, peer }) => {
          const found = request.keys.flatMap((one) => {
            const value = state.values.get(latin1(one));
            return value === undefined ? [] : [{ key: one, value }];
          });
          for (const { value } of found) peer.countRead(value.length);
          return { pairs: found };
        });
      case "RawScan":
        return this.#read(context, request.reverse ? [] : [latin1(request.start_key)], (ready) => scan(ready, request));
      case "RawPut":
        return this.#write(context, [{ kind: "put", key, value: request.value }]);
      case "RawBatchPut": {
        const puts = request.pairs.map((pair) => ({ kind: "put" as const, key: latin1(pair.key), value: pair.value }));
        return this.#write(context, puts);
      }
      case "RawDelete":
        return this.#write(context, [{ kind: "delete", key }]);
      case "RawBatchDelete":
        return this.#write(
          context,
          request.keys.map((one) => ({ kind: "delete" as const, key: latin1(one) })),
        );
      case "RawDeleteRange": {
        const [start, end] = [latin1(request.start_key), latin1(request.end_key)];
        return this.#write(context, [{ kind: "delete-range", start, end }]);
      }
      case "RawCompareAndSwap": {
        const expected = request.previous_not_exist ? null : request.previous_value;
        return this.#write(context, [{ kind: "cas", key, value: request.value, expected }]);
      }
    }
  }

  async #read(
    context: RequestContext | null,
    keys: readonly string[],
    answer: (ready: Ready) => RawReply,
  ): Promise<RawReply> {
    const started = this.#clock.monotonic();
    const before = this.#check(context, keys);
    const refused = "error" in before ? before.error : await before.peer.readBarrier();
    // The region may have been split while the barrier was on its way.
    const now = refused === null ? this.#check(context, keys) : { error: refused };
    const error = "error" in now ? now.error : null;
    this.#count("snapshot", error, started);
    return "error" in now ? { region_error: now.error } : answer(now);
  }

  async #write(context: RequestContext | null, ops: readonly WriteOp[]): Promise<RawReply> {
    const started = this.#clock.monotonic();
    const { error, cas } = await this.#tryWrite(context, ops);
    this.#count("write", error, started);
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
    ops: readonly WriteOp[],
  ): Promise<{ readonly error: RegionError | null; readonly cas: readonly CasOutcome[] }> {
    const keys = ops.map((op) => (op.kind === "delete-range" ? op.start : op.key));
    const ready = this.#check(context, keys);
    if ("error" in ready) return { error: ready.error, cas: [] };
    const { peer, region } = ready;
    const bytes = ops.reduce((sum, op) => sum + ("value" in op ? op.value.length : 0), 0);
    if (bytes > MAX_ENTRY_BYTES) return { error: entryTooLarge(region.id, bytes), cas: [] };
    const bounded = ops.map((op) => (op.kind === "delete-range" ? { ...op, end: within(region, op.end) } : op));
    const result = await peer.write(bounded, region.epoch.version);
    return result.ok ? { error: null, cas: result.cas } : { error: result.error, cas: [] };
  }

  /** In the order in which TiKV checks (raftstore's store/util.rs, raft_command's checks before a proposal). */
  #check(context: RequestContext | null, keys: readonly string[]): Ready | { readonly error: RegionError } {
    const storeId = Number(context?.peer?.store_id ?? 0);
    if (storeId !== 0 && storeId !== this.#store.storeId) return { error: storeNotMatch(storeId, this.#store.storeId) };
    const regionId = Number(context?.region_id ?? 0);
    const peer = this.#store.peer(regionId);
    const { state, region } = { state: peer?.state ?? null, region: peer?.region ?? null };
    if (peer === undefined || state === null || region === null) return { error: regionNotFound(regionId) };
    if (!peer.isLeader) return { error: peer.notLeader() };
    const peerId = Number(context?.peer?.id ?? 0);
    if (peerId !== 0 && peerId !== peer.peerId) return { error: mismatchPeerId(peerId, peer.peerId) };
    const term = Number(context?.term ?? 0);
    if (term !== 0 && term + 1 < peer.node.roleState.term) return { error: staleCommand() };
    if (Number(context?.region_epoch?.version ?? 0) !== region.epoch.version)
      return { error: epochNotMatch(this.#store.around(region)) };
    const outside = keys.find((key) => !regionHolds(region, key));
    if (outside !== undefined) return { error: keyNotInRegion(outside, region) };
    return { peer, state, region };
  }

  #count(type: "write" | "snapshot", error: RegionError | null, started: number): void {
    const { engineRequests, engineDuration } = this.#metrics;
    engineRequests.inc({ type, status: "all" });
    engineRequests.inc({ type, status: error === null ? "success" : errorStatus(error) });
    if (error === null) engineDuration.observe({ type }, (this.#clock.monotonic() - started) / 1000);
  }
}

/** Forward: from start_key up to, not including, end_key. Reverse: from before start_key down to end_key. */
function scan({ state, region, peer }: Ready, request: RawRequest): RawReply {
  const [low, high] = request.reverse
    ? [latin1(request.end_key), latin1(request.start_key)]
    : [latin1(request.start_key), latin1(request.end_key)];
  const keys = state.values.keys(low > region.startKey ? low : region.startKey, within(region, high));
  const chosen = (request.reverse ? keys.reverse() : keys).slice(0, request.limit);
  const kvs = chosen.map((key) => {
    const value = state.values.get(key) ?? Buffer.alloc(0);
    peer.countRead(value.length);
    return { key: Buffer.from(key, "latin1"), value: request.key_only ? Buffer.alloc(0) : value };
  });
  return { kvs };
}

/** An end key that does not reach beyond the region; "" = no end. */
function within(region: Region, end: string): string {
  if (region.endKey === "") return end;
  return end === "" || end > region.endKey ? region.endKey : end;
}

function latin1(bytes: Buffer): string {
  return bytes.toString("latin1");
}
