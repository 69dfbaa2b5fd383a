import type { Clock } from "../../../base/clock.ts";
import { errorText } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { VaultClient } from "./vault-client.ts";

/** After something went wrong; Vault may be back by then. */
const RETRY_MS = 30_000;
/** Renewed when this part of its life is over, as Vault's own agent does. */
const SHARE = 2 / 3;
const LEAST_WAIT_MS = 1_000;
/** Renewed at least so often; and timers end at once beyond 2^31 ms. */
const MOST_WAIT_MS = 24 * 3_600_000;

interface Lease {
  readonly ttlMs: number;
  readonly renewable: boolean;
}

/** Renews the Vault token that we came with for as long as Vault lets it be renewed. Never throws. */
export async function keepVaultToken(
  client: VaultClient,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  let failed: string | null = null;
  let lease: Lease | null = null;
  while (!signal.aborted) {
    try {
      lease = lease === null ? await lookedUp(client, signal) : await renewed(client, signal);
      failed = null;
      // 0 = it does not end (root, batch tokens of old).
      if (lease.ttlMs === 0) return;
      if (!lease.renewable) return log.warn("vault.token-will-end", { inSeconds: lease.ttlMs / 1_000 });
      await clock.sleep(Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, lease.ttlMs * SHARE)), signal);
    } catch (error) {
      if (signal.aborted) return;
      const why = errorText(error);
      if (failed !== why) log.warn("vault.renewal-failed", { why });
      failed = why;
      await clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }
}

async function lookedUp(client: VaultClient, signal: AbortSignal): Promise<Lease> {
  const { json } = await client.request("GET", "auth/token/lookup-self", undefined, signal);
  const data = (json?.["data"] ?? {}) as { readonly ttl?: unknown; readonly renewable?: unknown };
  return { ttlMs: msOf(data.ttl), renewable: data.renewable === true };
}

async function renewed(client: VaultClient, signal: AbortSignal): Promise<Lease> {
  const { status, json, words } = await client.request("POST", "auth/token/renew-self", {}, signal);
  if (status !== 200) throw new Error(words.join("; "));
  const auth = (json?.["auth"] ?? {}) as { readonly lease_duration?: unknown; readonly renewable?: unknown };
  const ttlMs = msOf(auth.lease_duration);
  // What is renewed has an end.
  if (ttlMs === 0) throw new Error("Vault renewed the token for no time at all");
  return { ttlMs, renewable: auth.renewable === true };
}

/** An answer that does not say it must be taken neither for "never ends" nor for "at once". */
function msOf(seconds: unknown): number {
  if (typeof seconds === "number" && Number.isFinite(seconds) && seconds >= 0) return seconds * 1_000;
  throw new Error("Vault's answer does not say how long the token lasts");
}
