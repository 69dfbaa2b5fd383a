import type { RawPair } from "./raw-request.ts";

/** CRC-64/XZ, bit-reversed ECMA-182 polynomial: what the crate `crc64fast` computes. */
const POLYNOMIAL = 0xc96c5795d7870f42n;
const ALL_ONES = 0xffffffffffffffffn;

const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let crc = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ POLYNOMIAL : crc >> 1n;
  return crc;
});

export interface Checksum {
  readonly checksum: bigint;
  readonly kvs: number;
  readonly bytes: number;
}

/** The checksums of all pairs, xored: the order does not matter (`ChecksumAlgorithm.Crc64_Xor`). */
export function checksumOf(pairs: readonly RawPair[]): Checksum {
  let checksum = 0n;
  let bytes = 0;
  for (const { key, value } of pairs) {
    checksum ^= crc64(Buffer.concat([key, value]));
    bytes += key.length + value.length;
  }
  return { checksum, kvs: pairs.length, bytes };
}

/** CRC-64/XZ. */
export function crc64(data: Buffer): bigint {
  let crc = ALL_ONES;
  for (const byte of data) crc = (TABLE[Number((crc ^ BigInt(byte)) & 0xffn)] ?? 0n) ^ (crc >> 8n);
  return crc ^ ALL_ONES;
}
