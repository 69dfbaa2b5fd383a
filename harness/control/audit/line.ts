import { createHmac, createSecretKey, hash, timingSafeEqual, type KeyObject } from "node:crypto";
import { z } from "zod";

/** Hash "of the line before" the first one. */
export const NO_LINE = "0".repeat(64);

const common = {
  seq: z.int().positive(),
  /** SHA-256 of the line before, hex: of all its bytes but the newline. */
  prev: z.string().regex(/^[0-9a-f]{64}$/),
  /** UTC. */
  at: z.string(),
  writer: z.string(),
};

const who = {
  plane: z.string(),
  caller: z.string(),
  command: z.string(),
  target: z.string().nullable(),
  effect: z.enum(["read", "write", "destructive"]).nullable(),
  incident: z.string().nullable(),
  commandId: z.string().nullable(),
};

const verdict = z.enum(["ok", "failed", "refused", "unknown"]);

const recordSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    ...common,
    kind: z.literal("intent"),
    ...who,
    params: z.record(z.string(), z.unknown()).optional(),
  }),
  z.strictObject({
    ...common,
    kind: z.literal("outcome"),
    /** `seq` of the intent. */
    of: z.int().positive(),
    ...who,
    verdict,
    code: z.string().nullable(),
    why: z.string().optional(),
  }),
  z.strictObject({
    ...common,
    kind: z.literal("event"),
    name: z.string(),
    fields: z.record(z.string(), z.unknown()),
  }),
]);

export type AuditRecord = z.output<typeof recordSchema>;

/** What a line says of its own; the chain adds `seq`, `prev`, `at` and `writer`. */
export type AuditBody = AuditRecord extends infer R
  ? R extends AuditRecord
    ? Omit<R, "seq" | "prev" | "at" | "writer">
    : never
  : never;

const MAC = /^,"mac":"([0-9a-f]{64})"\}$/;
/** `,"mac":"` + 64 + `"}` */
const MAC_BYTES = 8 + 64 + 2;

/** One line without its newline. The last field is the HMAC-SHA256 over the bytes before it. */
export function encodeLine(record: AuditRecord, key: Buffer): string {
  const body = JSON.stringify(record).slice(0, -1);
  return `${body},"mac":"${macOf(body, key)}"}`;
}

/**
 * What a line says, or null when one of its bytes is not what was written with this key. Works on bytes: text that is
 * not UTF-8 could decode to what it replaced.
 */
export function decodeLine(line: Buffer, key: Buffer): AuditRecord | null {
  if (line.length <= MAC_BYTES) return null;
  const mac = MAC.exec(line.subarray(-MAC_BYTES).toString("latin1"))?.[1];
  if (mac === undefined) return null;
  const body = line.subarray(0, -MAC_BYTES);
  if (!timingSafeEqual(Buffer.from(mac, "hex"), Buffer.from(macOf(body, key), "hex"))) return null;
  const parsed = recordSchema.safeParse(JSON.parse(`${body.toString("utf8")}}`));
  return parsed.success ? parsed.data : null;
}

export const hashOf = (line: Buffer | string): string => hash("sha256", line);

export const macOf = (bytes: Buffer | string, key: Buffer): string =>
  createHmac("sha256", keyObjectOf(key)).update(bytes).digest("hex");

/** Made once for each key: from bytes Node would make one for each MAC. */
const keyObjects = new WeakMap<Buffer, KeyObject>();

function keyObjectOf(key: Buffer): KeyObject {
  const known = keyObjects.get(key) ?? createSecretKey(key);
  keyObjects.set(key, known);
  return known;
}
