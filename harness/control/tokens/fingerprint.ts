import { hash } from "node:crypto";

/** Names a token without showing it: the first 16 hex digits of its SHA-256. */
export function fingerprintOf(token: string): string {
  return hash("sha256", token).slice(0, 16);
}
