import { signAssertion } from "../assertion.ts";
import { fingerprintOf } from "../tokens/index.ts";
import { ApiError } from "./api-error.ts";
import type { AddRoute } from "./signed-route.ts";
import type { ServerCore } from "./core.ts";
import { bodyAs } from "./parse-command.ts";
import { assertionRequest, rotateRequest } from "./routes.ts";

/** Answers that are given again for the same key. */
const KEPT_ROTATIONS = 100;

export function authRoutes(core: ServerCore, route: AddRoute): void {
  const { options, deps } = core;
  const { tokens, audit } = options;
  const rotated = new Map<string, { readonly digest: string; readonly answer: Promise<object> }>();

  route("POST", "/api/v1/auth/rotate-token", "auth:rotate", async (c, caller) => {
    const { plane = caller.plane, grace_ms: graceMs } = bodyAs(rotateRequest, caller);
    if (plane !== caller.plane)
      throw new ApiError("scope-missing", `a key of ${caller.plane} rotates its own plane only`);
    const rotate = async (): Promise<object> => {
      const by = { plane, by: caller.agentId, from: caller.fingerprint };
      // Before it as well: a token that is in force and in no audit is what must not be.
      await audit.event("token-rotation-asked", by);
      // Also when the caller is gone meanwhile, since half of it may be done.
      const record = await tokens.rotate(plane, graceMs === undefined ? {} : { graceMs }, core.parts.life);
      const fingerprint = fingerprintOf(record.token);
      await audit.event("token-rotated", { ...by, to: fingerprint });
      return { rotated: true, plane, fingerprint };
    };
    const key = `${plane}/${caller.idempotencyKey}`;
    const known = caller.idempotencyKey === "" ? undefined : rotated.get(key);
    if (known !== undefined && known.digest !== caller.bodyDigest)
      throw new ApiError("key-reused", "this idempotency key has been used with another request");
    if (known !== undefined) return c.json(await known.answer);
    const answer = rotate();
    if (caller.idempotencyKey !== "") {
      rotated.set(key, { digest: caller.bodyDigest, answer });
      answer.catch(() => rotated.delete(key));
      const [oldest] = rotated.keys();
      if (rotated.size > KEPT_ROTATIONS && oldest !== undefined) rotated.delete(oldest);
    }
    return c.json(await answer);
  });

  route("POST", "/api/v1/auth/assertion", "auth:assert", (c, caller) => {
    bodyAs(assertionRequest, caller);
    const panel = tokens.current("status_panel");
    if (panel === null) throw new ApiError("unavailable", "there is no token of status_panel to sign with");
    const { agentId, plane } = caller;
    const who = { agentId, deploymentHash: options.deploymentHash, part: "agent", holder: false } as const;
    const { assertion, expiresAt } = signAssertion(who, panel.token, deps);
    return c.json({ assertion, expires_at: expiresAt, plane });
  });
}
