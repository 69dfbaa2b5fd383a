import type { Clock } from "../../../base/clock.ts";
import { errorText } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { VaultClient } from "./vault-client.ts";

/** After something went wrong; Vault may be back by then. */
const RETRY_MS = 30_000;
/** Renewed when this part of its life is over, as Vault's own agent does. */
const SHARE = 2 / 3;
const LEAST_WAIT_MS = 1_000;

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
      await clock.sleep(Math.max(LEAST_WAIT_MS, lease.ttlMs * SHARE), signal);
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
  const data = (json?.["data"] ?? {}) as { readonly ttl?: number; readonly renewable?: boolean };
  return { ttlMs: (data.ttl ?? 0) * 1_000, renewable: data.renewable === true };
}

async function renewed(client: VaultClient, signal: AbortSignal): Promise<Lease> {
  const { status, json, words } = await client.request("POST", "auth/token/renew-self", {}, signal);
  if (status !== 200) throw new Error(words.join("; "));
  const auth = (json?.["auth"] ?? {}) as { readonly lease_duration?: number; readonly renewable?: boolean };
  return { ttlMs: (auth.lease_duration ?? 0) * 1_000, renewable: auth.renewable === true };
}
