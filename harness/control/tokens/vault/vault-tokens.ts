import type { Clock } from "../../../base/clock.ts";
import type { Plane } from "../../planes.ts";
import type { TokenProvider } from "../types.ts";
import { keepVaultToken } from "./keep-vault-token.ts";
import { VaultSecrets, type SecretsOptions } from "./vault-secrets.ts";
import { vaultClient, type VaultAddress } from "./vault-client.ts";

export interface VaultTokensOptions extends VaultAddress, SecretsOptions {
  /** Another key than `<plane>_token`. */
  readonly keys?: Partial<Readonly<Record<Plane, string>>>;
}

interface Deps {
  readonly clock: Clock;
  readonly fetch: typeof globalThis.fetch;
}

/**
 * Tokens in Vault, KV v2 or v1: `<prefix>/<deployment>/status_panel_token` and `…/compose_agent_token`, each with the
 * field `token` and ours beside it. Every plane's program reads with a Vault token whose policy knows its own path only
 * (`docker/agent/vault/`).
 */
export function vaultTokens(options: VaultTokensOptions, deps: Deps): TokenProvider {
  const client = vaultClient(options, deps);
  const secrets = new VaultSecrets(client, options, deps.clock);
  const keyOf = (plane: Plane): string => options.keys?.[plane] ?? `${plane}_token`;
  return {
    name: `vault ${client.address}`,
    rereadEveryMs: 250,
    fetch: (plane, signal) => secrets.fetch(signal, { plane, key: keyOf(plane) }),
    store: (plane, entry, expected, signal) => secrets.store(entry, signal, { expected, key: keyOf(plane) }),
    remove: (plane, signal) => secrets.remove(signal, keyOf(plane)),
    maintain: (log, signal) => keepVaultToken(client, { clock: deps.clock, log }, signal),
  };
}
