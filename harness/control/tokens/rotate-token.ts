import type { Clock, EpochMs } from "../../base/clock.ts";
import type { Ids } from "../../base/ids.ts";
import { DEFAULT_SCOPES, type Plane } from "../planes.ts";
import { checkToken, newToken } from "./new-token.ts";
import { TokenError, type RotateOptions, type StoredToken, type TokenEntry, type TokenProvider } from "./types.ts";

/** Longer than a refresh with its jitter and a request's life, so that everybody has heard in time. */
export const DEFAULT_GRACE_MS = 300_000;
/** Of predecessors in their grace at once; more are refused rather than kept or dropped early. */
const MOST_PREDECESSORS = 64;

/**
 * Puts a new token in force: it is stored before anybody can sign with it, together with its predecessors and until
 * when they are taken. A grace of 0 ends all predecessors at once: for a token that leaked.
 *
 * @returns what was stored.
 * @throws TokenError; then the old token is in force.
 */
export async function rotateToken(
  provider: TokenProvider,
  plane: Plane,
  { token: wanted, graceMs = DEFAULT_GRACE_MS }: RotateOptions,
  deps: { readonly clock: Clock; readonly ids: Ids },
  signal: AbortSignal,
): Promise<TokenEntry> {
  const token = wanted ?? newToken(deps.ids);
  checkToken(token, "the new token");
  const there = await usable(provider, plane, signal);
  if (there?.current.token === token) throw new TokenError("weak", "the new token is the one in force");
  const now = deps.clock.now();
  const until = (now + graceMs) as EpochMs;
  const kept = [
    ...(there === null ? [] : [{ ...there.current, acceptedUntil: until }]),
    ...(there?.previous ?? []).filter((one) => one.acceptedUntil > now && one.token !== token),
  ];
  if (graceMs > 0 && kept.length > MOST_PREDECESSORS)
    throw new TokenError("changed", `${kept.length} predecessors are still in their grace; wait, or end them at once`);
  const entry: TokenEntry = {
    current: { token, scopes: there?.current.scopes ?? DEFAULT_SCOPES[plane], issuedAt: now },
    previous: graceMs > 0 ? kept : [],
  };
  await provider.store(plane, entry, there?.version ?? null, signal);
  return entry;
}

/** What nobody can be let in with (empty, no record) is cleared away: this is how a person puts it right. */
async function usable(provider: TokenProvider, plane: Plane, signal: AbortSignal): Promise<StoredToken | null> {
  try {
    return await provider.fetch(plane, signal);
  } catch (error) {
    if (!(error instanceof TokenError && (error.reason === "weak" || error.reason === "malformed"))) throw error;
    await provider.remove(plane, signal);
    return null;
  }
}
