/**
 * A short text that says something and can be checked by whoever holds the same token:
 * `<fingerprint of the token> "." base64url(JSON) "." base64url(HMAC-SHA256)`. The key is derived from token and
 * purpose, so that what was sealed for one thing passes neither for another nor for a signed request.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { fingerprintOf } from "./tokens/fingerprint.ts";

/** What a text is for; part of its key. */
export type SealPurpose = "panel-assertion/1" | "panel-order/1";

/** @throws RangeError when the token is empty. */
export function seal(purpose: SealPurpose, content: unknown, token: string): string {
  const body = Buffer.from(JSON.stringify(content)).toString("base64url");
  return `${fingerprintOf(token)}.${body}.${macOf(purpose, body, token).toString("base64url")}`;
}

/** The fingerprint of the token that a text was sealed with; null where it is none, or longer than it may be. */
export function sealKey(text: string, maxLength: number): string | null {
  if (text.length > maxLength) return null;
  return /^([0-9a-f]{16})\.[\w-]+\.[\w-]+$/.exec(text)?.[1] ?? null;
}

/** What is in it, unchecked but for its seal; undefined where the seal does not hold. */
export function unseal(purpose: SealPurpose, text: string, token: string): unknown {
  const [, body = "", mac = ""] = text.split(".");
  const [given, right] = [Buffer.from(mac, "base64url"), macOf(purpose, body, token)];
  if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
  try {
    return JSON.parse(Buffer.from(body, "base64url").toString("utf8")) as unknown;
  } catch {
    return null;
  }
}

function macOf(purpose: SealPurpose, body: string, token: string): Buffer {
  if (token === "") throw new RangeError("an empty token signs nothing");
  const key = createHmac("sha256", token).update(purpose).digest();
  return createHmac("sha256", key).update(body).digest();
}
