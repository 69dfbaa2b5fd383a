import type { Clock } from "../../base/clock.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Ids } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Plane } from "../planes.ts";
import type { ControlSettings } from "../settings.ts";
import { fileTokens } from "./file-tokens.ts";
import { openTokenCache } from "./token-cache.ts";
import type { TokenCache, TokenProvider } from "./types.ts";
import { vaultTokens } from "./vault/vault-tokens.ts";

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly log: Log;
  readonly fetch: typeof globalThis.fetch;
}

type TokenSettings = Pick<ControlSettings, "vault" | "tokenDir" | "deploymentHash" | "tokenRefreshMs" | "tokenGraceMs">;

/**
 * Where the settings say that tokens are: Vault, or files.
 *
 * @param own the plane whose key VAULT_TOKEN_KEY names.
 * @throws ConfigError when that would be the other plane's key as well.
 */
export function tokenProvider(
  { vault, tokenDir, deploymentHash }: TokenSettings,
  own: Plane,
  deps: Pick<Deps, "clock" | "ids" | "fetch">,
): TokenProvider {
  if (vault === null) return fileTokens(tokenDir, deps);
  const other: Plane = own === "status_panel" ? "compose_agent" : "status_panel";
  if (vault.tokenKey === `${other}_token`)
    throw new ConfigError(`VAULT_TOKEN_KEY is ${vault.tokenKey}, the key of the other plane; this program is ${own}`);
  const keys = vault.tokenKey === null ? {} : { [own]: vault.tokenKey };
  return vaultTokens({ ...vault, deploymentHash, keys }, deps);
}

/**
 * The tokens of the planes that a program has to do with, kept fresh. The first plane is its own.
 * @throws TokenError, ConfigError
 */
export async function openTokens(
  settings: TokenSettings,
  planes: readonly [Plane, ...Plane[]],
  deps: Deps,
  signal: AbortSignal,
): Promise<TokenCache> {
  const provider = tokenProvider(settings, planes[0], deps);
  const { tokenRefreshMs: refreshMs, tokenGraceMs: graceMs } = settings;
  return await openTokenCache({ provider, planes, refreshMs, graceMs }, deps, signal);
}
