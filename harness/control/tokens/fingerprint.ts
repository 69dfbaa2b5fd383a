import { createHash } from "node:crypto";

/** Names a token without showing it: the first 16 hex digits of its SHA-256. */
export function fingerprintOf(token: string): string {
  return createHash("sha256").update(token, "utf8").digest("hex").slice(0, 16);
}
