/**
 * How a request is signed. The token never travels: a request names its key (plane and fingerprint) and carries an
 * HMAC-SHA256 over everything that gives it a meaning, here and now: method, the raw target with its query, the body's
 * digest, who sends it, when, a nonce for this one transmission, the idempotency key, and which server of which start
 * it is for. What was captured is worthless a moment later, after a restart, and at any other server.
 */
import { createHmac, createSecretKey, hash, timingSafeEqual, type KeyObject } from "node:crypto";
import type { Plane } from "./planes.ts";

/** Lower case, as Node shows them. The first, fourth and last are named as in trydirect/status. */
export const HEADERS = {
  agentId: "x-agent-id",
  plane: "x-control-plane",
  fingerprint: "x-key-fingerprint",
  timestampMs: "x-timestamp",
  nonce: "x-nonce",
  idempotencyKey: "idempotency-key",
  serverId: "x-server-id",
  bootEpoch: "x-boot-epoch",
  signature: "x-agent-signature",
} as const;

/** A request is refused when its clock and ours are further apart; nonces are kept for twice as long. */
export const MAX_SKEW_MS = 120_000;

export interface SignedParts {
  readonly method: string;
  /** As it is sent: path and query, nothing decoded. */
  readonly target: string;
  /** SHA-256 of the body's bytes, hex; of nothing for no body. */
  readonly bodyDigest: string;
  readonly plane: Plane;
  readonly fingerprint: string;
  readonly agentId: string;
  readonly timestampMs: number;
  readonly nonce: string;
  /** "" where the request has none. */
  readonly idempotencyKey: string;
  readonly serverId: string;
  readonly bootEpoch: string;
}

export function digestOf(body: string | Uint8Array): string {
  return hash("sha256", body);
}

/** One line per part; none can hold a line break, so no two requests look alike. */
function canonical(parts: SignedParts): string {
  return [
    "request/1",
    parts.method,
    parts.target,
    parts.bodyDigest,
    parts.plane,
    parts.fingerprint,
    parts.agentId,
    String(parts.timestampMs),
    parts.nonce,
    parts.idempotencyKey,
    parts.serverId,
    parts.bootEpoch,
  ].join("\n");
}

/** Hex. @throws RangeError for an empty token: it signs nothing. */
export function signatureOf(parts: SignedParts, token: string): string {
  if (token === "") throw new RangeError("an empty token signs nothing");
  return createHmac("sha256", keyOf(token)).update(canonical(parts)).digest("hex");
}

const KEPT_KEYS = 16;
const keys = new Map<string, KeyObject>();

/** A key of its own, so that a signature can never pass for an assertion made with the same token. */
function keyOf(token: string): KeyObject {
  const known = keys.get(token);
  if (known !== undefined) return known;
  const key = createSecretKey(createHmac("sha256", token).update("control-request/1").digest());
  const [oldest] = keys.keys();
  if (keys.size >= KEPT_KEYS && oldest !== undefined) keys.delete(oldest);
  keys.set(token, key);
  return key;
}

/** In constant time. */
export function signatureHolds(parts: SignedParts, token: string, given: string): boolean {
  const wanted = Buffer.from(signatureOf(parts, token), "utf8");
  const said = Buffer.from(given, "utf8");
  return said.length === wanted.length && timingSafeEqual(said, wanted);
}

/** The headers that carry all this. */
export function signedHeaders(parts: SignedParts, token: string): Record<string, string> {
  return {
    [HEADERS.agentId]: parts.agentId,
    [HEADERS.plane]: parts.plane,
    [HEADERS.fingerprint]: parts.fingerprint,
    [HEADERS.timestampMs]: String(parts.timestampMs),
    [HEADERS.nonce]: parts.nonce,
    ...(parts.idempotencyKey === "" ? {} : { [HEADERS.idempotencyKey]: parts.idempotencyKey }),
    [HEADERS.serverId]: parts.serverId,
    [HEADERS.bootEpoch]: parts.bootEpoch,
    [HEADERS.signature]: signatureOf(parts, token),
  };
}
