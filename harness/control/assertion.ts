/**
 * Who a program is, told to the panel by somebody whom the panel can check. The panel holds the `status_panel` token
 * alone, so it cannot check a signature of the agent's plane: the control server, which knows both, looks at the
 * agent's signed request (`POST /api/v1/auth/assertion`) and answers with an assertion that the panel can verify.
 * Programs that hold the `status_panel` token themselves (compose-agent, watchdog, a legacy agent) make their own.
 *
 * A sealed text (`sealed.ts`), sent as `Authorization: Assertion <text>`.
 */
import { z } from "zod";
import type { Clock, EpochMs } from "../base/clock.ts";
import type { Ids } from "../base/ids.ts";
import { seal, sealKey, unseal } from "./sealed.ts";

/** What a part of the deployment is. */
export const PARTS = ["agent", "compose-agent", "watchdog"] as const;
export type Part = (typeof PARTS)[number];

/** How long an assertion may be used. Whoever holds one asks for the next one before. */
export const ASSERTION_LIFE_MS = 5 * 60_000;
/** How far two programs' clocks may be apart. */
const SKEW_MS = 60_000;
const MAX_LENGTH = 4_096;

const claimsSchema = z.strictObject({
  agentId: z.string().min(1).max(128),
  deploymentHash: z.string().min(1).max(128),
  part: z.enum(PARTS),
  /** True = whoever made it holds the token itself, and may take the panel's commands (a legacy agent). */
  holder: z.boolean(),
  issuedAt: z.number().int(),
  expiresAt: z.number().int(),
  nonce: z.string().min(8).max(64),
});

export type AssertionClaims = Readonly<z.output<typeof claimsSchema>>;
export type Asserted = Pick<AssertionClaims, "agentId" | "deploymentHash" | "part" | "holder">;

export type AssertionRefusal = "malformed" | "signature" | "expired" | "not-yet";

/**
 * @param token the current `status_panel` token. @throws RangeError when it is empty.
 */
export function signAssertion(
  who: Asserted,
  token: string,
  { clock, ids }: { readonly clock: Clock; readonly ids: Ids },
): { readonly assertion: string; readonly expiresAt: EpochMs } {
  const issuedAt = clock.now();
  const expiresAt = (issuedAt + ASSERTION_LIFE_MS) as EpochMs;
  const { agentId, deploymentHash, part, holder } = who;
  const claims: AssertionClaims = {
    agentId,
    deploymentHash,
    part,
    holder,
    issuedAt,
    expiresAt,
    nonce: ids.hex(8),
  };
  return { assertion: seal("panel-assertion/1", claims, token), expiresAt };
}

/** Names the token that it was made with; null where it is no assertion. */
export function assertionKey(text: string): string | null {
  return sealKey(text, MAX_LENGTH);
}

/** @param token the one that `assertionKey` names, if it is accepted now. */
export function verifyAssertion(
  text: string,
  token: string,
  now: EpochMs,
): { readonly ok: true; readonly claims: AssertionClaims } | { readonly ok: false; readonly why: AssertionRefusal } {
  if (assertionKey(text) === null) return { ok: false, why: "malformed" };
  const content = unseal("panel-assertion/1", text, token);
  if (content === undefined) return { ok: false, why: "signature" };
  const claims = claimsSchema.safeParse(content);
  if (!claims.success) return { ok: false, why: "malformed" };
  const { issuedAt, expiresAt } = claims.data;
  if (expiresAt <= now - SKEW_MS || expiresAt - issuedAt > ASSERTION_LIFE_MS) return { ok: false, why: "expired" };
  if (issuedAt > now + SKEW_MS) return { ok: false, why: "not-yet" };
  return { ok: true, claims: claims.data };
}
