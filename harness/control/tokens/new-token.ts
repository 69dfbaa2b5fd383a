import type { Ids } from "../../base/ids.ts";
import { TokenError } from "./types.ts";

/** 256 bits, as long as the key that HMAC-SHA256 can use (RFC 2104, 3). */
const TOKEN_BYTES = 32;
/** Of a token that somebody made himself: fewer characters cannot hold 128 bits in any usual alphabet. */
const LEAST_CHARS = 32;
const MOST_CHARS = 512;

export function newToken(ids: Ids): string {
  return Buffer.from(ids.hex(TOKEN_BYTES), "hex").toString("base64url");
}

/**
 * Refuses what cannot be a secret. (The design's public original takes an empty token and locks everybody out.)
 * @param where names it for the message, which never shows it.
 * @throws TokenError `weak`
 */
export function checkToken(token: string, where: string): void {
  const why = weaknessOf(token);
  if (why !== null) throw new TokenError("weak", `${where} ${why}: \`token rotate\` draws a good one`);
}

/** Why it cannot be a secret; null = it can. */
export function weaknessOf(token: string): string | null {
  return token === ""
    ? "is empty"
    : token.length < LEAST_CHARS
      ? `has ${token.length} characters, ${LEAST_CHARS} are the least`
      : token.length > MOST_CHARS
        ? `has ${token.length} characters, ${MOST_CHARS} are the most`
        : !/^[\x21-\x7e]+$/.test(token)
          ? "has characters that are not printable ASCII, or spaces"
          : new Set(token).size < 8
            ? "repeats a few characters"
            : null;
}
