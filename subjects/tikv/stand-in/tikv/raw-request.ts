/** `kvrpcpb.Context` as the loader gives it. */
export interface RequestContext {
  readonly region_id: string;
  readonly region_epoch: { readonly conf_ver: string; readonly version: string } | null;
  readonly peer: { readonly id: string; readonly store_id: string } | null;
  readonly term: string;
  readonly replica_read: boolean;
  readonly stale_read: boolean;
  readonly max_execution_duration_ms: string;
  readonly api_version: number;
}

export interface RawPair {
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface RawRange {
  readonly start_key: Buffer;
  readonly end_key: Buffer;
}

/** Every raw request's fields; each kind has the ones it needs. */
export interface RawRequest extends RawPair, RawRange {
  readonly context: RequestContext | null;
  /** Not in `RawChecksum`. */
  readonly cf?: string;
  readonly keys: readonly Buffer[];
  readonly pairs: readonly RawPair[];
  readonly ranges: readonly RawRange[];
  readonly limit: number;
  readonly each_limit: number;
  readonly key_only: boolean;
  readonly reverse: boolean;
  readonly previous_not_exist: boolean;
  readonly previous_value: Buffer;
  readonly ttl: string;
  readonly ttls?: readonly string[];
  readonly algorithm: number;
}

export type RawReply = Readonly<Record<string, unknown>>;
export type RawKind = keyof typeof METRIC_TYPES;

/** RPC -> `type` in metrics, and TiKV's name of the command. */
export const METRIC_TYPES = {
  RawGet: "raw_get",
  RawBatchGet: "raw_batch_get",
  RawPut: "raw_put",
  RawBatchPut: "raw_batch_put",
  RawDelete: "raw_delete",
  RawBatchDelete: "raw_batch_delete",
  RawScan: "raw_scan",
  RawBatchScan: "raw_batch_scan",
  RawDeleteRange: "raw_delete_range",
  RawCompareAndSwap: "raw_compare_and_swap",
  RawGetKeyTTL: "raw_get_key_ttl",
  RawChecksum: "raw_checksum",
} as const;

/** Keys inside are latin1: one character a byte. */
export function latin1(bytes: Buffer): string {
  return bytes.toString("latin1");
}
