import { FAMILIES, type Family } from "./families.ts";
import { METRIC_TYPES, type RawKind, type RawReply, type RawRequest } from "./raw-request.ts";

/** storage.max-key-size */
const MAX_KEY_BYTES = 8 << 10;
const API_VERSIONS = ["V1", "V1ttl", "V2"] as const;
const [STORAGE_VERSION] = API_VERSIONS;
const CRC64_XOR = 0;

/** Why the storage does not even look for the region: as a text, and as Rust's debug form of it. */
interface Refusal {
  readonly text: string;
  readonly debug: string;
}

/**
 * What a storage in API V1 refuses whatever region is meant, with the texts of tikv/tikv:src/storage/errors.rs, or null.
 * A time to live is not enabled there.
 */
export function refusedRequest(kind: RawKind, request: RawRequest): RawReply | null {
  const refusal = refusalOf(kind, request);
  if (refusal === null) return null;
  const pair = { error: { abort: refusal.debug } };
  if (kind === "RawBatchGet") return { pairs: [pair] };
  if (kind === "RawScan" || kind === "RawBatchScan") return { kvs: [pair] };
  return { error: refusal.text };
}

/** The column family that a request names; "" is the default one. Null = there is no such family for raw requests. */
export function familyOf(name: string | undefined): Family | null {
  return (name ?? "") === "" ? "default" : (FAMILIES.find((family) => family === name) ?? null);
}

function refusalOf(kind: RawKind, request: RawRequest): Refusal | null {
  const command = METRIC_TYPES[kind];
  if (kind === "RawChecksum" && request.algorithm !== CRC64_XOR)
    return other(`unknown checksum algorithm ${request.algorithm}`);
  const asked = request.context?.api_version ?? 0;
  if (asked !== 0) {
    const version = API_VERSIONS[asked] ?? String(asked);
    return {
      text: `Api version in request does not match with TiKV storage, cmd: ${command}, storage: ${STORAGE_VERSION}, request: ${version}`,
      debug: `Error(ApiVersionNotMatched { cmd: ${command}, storage_api_version: ${STORAGE_VERSION}, req_api_version: ${version} })`,
    };
  }
  return tooLarge(kind, request) ?? unknownFamily(request) ?? withTtl(kind, request) ?? badRanges(kind, request);
}

/** Only where keys would be stored or deleted. */
function tooLarge(kind: RawKind, request: RawRequest): Refusal | null {
  const size = longestKey(kind, request);
  if (size <= MAX_KEY_BYTES) return null;
  return {
    text: `max key size exceeded, size: ${size}, limit: ${MAX_KEY_BYTES}`,
    debug: `Error(KeyTooLarge { size: ${size}, limit: ${MAX_KEY_BYTES} })`,
  };
}

function longestKey(kind: RawKind, { key, keys, pairs, start_key, end_key }: RawRequest): number {
  const longest = (all: readonly Buffer[]): number => all.reduce((most, { length }) => Math.max(most, length), 0);
  if (kind === "RawPut" || kind === "RawDelete") return key.length;
  if (kind === "RawBatchPut") return longest(pairs.map((pair) => pair.key));
  if (kind === "RawBatchDelete") return longest(keys);
  return kind === "RawDeleteRange" ? longest([start_key, end_key]) : 0;
}

function unknownFamily({ cf }: RawRequest): Refusal | null {
  if (familyOf(cf) !== null) return null;
  return { text: `invalid cf name: ${cf ?? ""}`, debug: `Error(InvalidCf(${JSON.stringify(cf ?? "")}))` };
}

function withTtl(kind: RawKind, { ttl, ttls }: RawRequest): Refusal | null {
  const asks = kind === "RawPut" || kind === "RawCompareAndSwap" || kind === "RawBatchPut";
  const all = ttls === undefined || ttls.length === 0 ? [ttl] : ttls;
  if (!asks || all.every((one) => one === "0")) return null;
  return { text: "ttl is not enabled, but get put request with ttl", debug: "Error(TtlNotEnabled)" };
}

function badRanges(kind: RawKind, { ranges, reverse }: RawRequest): Refusal | null {
  return kind !== "RawBatchScan" || validRanges(ranges, reverse) ? null : other("Invalid KeyRanges");
}

/** In order, none empty, none into the next; an open end reaches to the next start (`check_key_ranges`). */
function validRanges(ranges: RawRequest["ranges"], reverse: boolean): boolean {
  return ranges.every(({ start_key, end_key }, at) => {
    const next = ranges[at + 1];
    const end = end_key.length === 0 && next !== undefined ? next.start_key : end_key;
    const order = start_key.compare(end);
    return end.length === 0 || (reverse ? order > 0 : order < 0);
  });
}

function other(text: string): Refusal {
  return { text, debug: `Error(Other(${JSON.stringify(text)}))` };
}
