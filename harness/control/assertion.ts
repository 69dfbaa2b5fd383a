/**
 * Who a program is, told to the panel by somebody whom the panel can check. The panel holds the `status_panel` token
 * alone, so it cannot check a signature of the agent's plane: the control server, which knows both, looks at the
 * agent's signed request (`POST /api/v1/auth/assertion`) and answers with an assertion that the panel can verify.
 * Programs that hold the `status_panel` token themselves (compose-agent, watchdog, a legacy agent) make their own.
 *
 * Form: `base64url(JSON claims) "." base64url(HMAC-SHA256)`, in `Authorization: Assertion <text>`. The key is derived
 * from the token, so that an assertion can never pass for a signed request or the other way round.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { EpochMs } from "../base/clock.ts";

/** What a part of the deployment is. */
export const PARTS = ["agent", "compose-agent", "watchdog"] as const;
export type Part = (typeof PARTS)[number];

/** How long an assertion that the control server gives out may be used. The agent asks for the next one before. */
export const ASSERTION_LIFE_MS = 5 * 60_000;
/** How far two programs' clocks may be apart. */
const SKEW_MS = 60_000;

const claimsSchema = z.strictObject({
  agentId: z.string().min(1).max(128),
  deploymentHash: z.string().min(1).max(128),
  part: z.enum(PARTS),
  /** True = the caller holds the token itself, and may take the panel's commands (a legacy agent). */
  holder: z.boolean(),
  issuedAt: z.number().int(),
  expiresAt: z.number().int(),
  nonce: z.string().min(8).max(64),
});

export type AssertionClaims = Readonly<z.output<typeof claimsSchema>>;

export type AssertionRefusal = "malformed" | "signature" | "expired" | "not-yet";

/** @param token the current `status_panel` token; @throws RangeError when it is empty. */
export function signAssertion(claims: AssertionClaims, token: string): string {
  const body = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `${body}.${macOf(body, token).toString("base64url")}`;
}

/** @param tokens those that are valid now: the current one, and its predecessor within its grace. */
export function verifyAssertion(
  text: string,
  tokens: readonly string[],
  now: EpochMs,
): { readonly ok: true; readonly claims: AssertionClaims } | { readonly ok: false; readonly why: AssertionRefusal } {
  const [body = "", mac = "", ...rest] = text.split(".");
  if (text.length > 4_096 || body === "" || mac === "" || rest.length > 0) return { ok: false, why: "malformed" };
  const given = Buffer.from(mac, "base64url");
  // Every token is tried, whichever fits: how long it takes says nothing.
  const fits = tokens.map((token) => equal(given, macOf(body, token))).includes(true);
  if (!fits) return { ok: false, why: "signature" };
  const claims = claimsSchema.safeParse(jsonOf(body));
  if (!claims.success) return { ok: false, why: "malformed" };
  if (claims.data.expiresAt <= now || claims.data.expiresAt - claims.data.issuedAt > ASSERTION_LIFE_MS)
    return { ok: false, why: "expired" };
  if (claims.data.issuedAt > now + SKEW_MS) return { ok: false, why: "not-yet" };
  return { ok: true, claims: claims.data };
}

function macOf(body: string, token: string): Buffer {
  if (token === "") throw new RangeError("an empty token signs nothing");
  const key = createHmac("sha256", token).update("panel-assertion/1").digest();
  return createHmac("sha256", key).update(body).digest();
}

function equal(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(Buffer.from(body, "base64url").toString("utf8")) as unknown;
  } catch {
    return null;
  }
}
