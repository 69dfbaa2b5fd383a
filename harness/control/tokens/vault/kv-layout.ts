import type { VaultClient } from "./vault-client.ts";
import { TokenError } from "../types.ts";

/** How a secret's path is written on the mount that it is on. */
export interface KvLayout {
  readonly version: 1 | 2;
  /** Ends with a slash. */
  readonly mount: string;
}

/**
 * Asks which mount a path is on and which version of KV it is, as Vault's own command line does before `kv get`
 * (command/kv_helpers.go, `kvPreflightVersionRequest`): a token that may touch anything on the mount may ask. A server
 * that does not know the question is older than KV v2.
 *
 * @throws TokenError; `missing` where there is no KV mount.
 */
export async function askKvLayout(client: VaultClient, path: string, signal: AbortSignal): Promise<KvLayout> {
  const { status, json, words } = await client.request("GET", `sys/internal/ui/mounts/${path}`, undefined, signal);
  if (words.some((word) => /namespace not found/i.test(word))) throw noNamespace(client);
  if (status === 404) return { version: 1, mount: firstPart(path) };
  const data = (json?.["data"] ?? {}) as { readonly path?: unknown; readonly options?: { readonly version?: unknown } };
  const mount = typeof data.path === "string" ? data.path : firstPart(path);
  if (!path.startsWith(mount))
    throw new TokenError("missing", `Vault has no KV mount for ${path}: check VAULT_AGENT_PATH_PREFIX`);
  return { version: data.options?.version === "2" ? 2 : 1, mount };
}

/** The version is told, the mount is the path's first part. */
export function toldKvLayout(version: 1 | 2, path: string): KvLayout {
  return { version, mount: firstPart(path) };
}

/** @param kind of v2's three; v1 has none. */
export function kvPath({ version, mount }: KvLayout, kind: "data" | "metadata", path: string): string {
  return version === 1 ? path : `${mount}${kind}/${path.slice(mount.length)}`;
}

export function noNamespace({ address }: VaultClient): TokenError {
  return new TokenError("missing", `Vault at ${address} has no such namespace: check VAULT_NAMESPACE`);
}

function firstPart(path: string): string {
  return path.slice(0, path.indexOf("/") + 1);
}
