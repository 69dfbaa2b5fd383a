import type { Clock, EpochMs } from "../../../base/clock.ts";
import type { Plane } from "../../planes.ts";
import { entryData, parseEntry } from "../entry.ts";
import { TokenError, type StoredToken, type TokenEntry } from "../types.ts";
import { askKvLayout, kvPath, noNamespace, toldKvLayout, type KvLayout } from "./kv-layout.ts";
import type { VaultClient, VaultReply } from "./vault-client.ts";

export interface SecretsOptions {
  /** `secret/agent`: the mount and what is below it, without v2's `data`. */
  readonly pathPrefix: string;
  readonly deploymentHash: string;
  /** null = asked of the server. */
  readonly kvVersion: 1 | 2 | null;
}

/** What is meant where no key is given. */
export const DEFAULT_TOKEN_KEY = "status_panel_token";

/**
 * One deployment's tokens in Vault's KV store, by key; a key that is not given is `status_panel_token`, as in the
 * public original (trydirect/status, `fetch_agent_token(deployment_hash, token_key)`).
 */
export class VaultSecrets {
  readonly #client: VaultClient;
  readonly #options: SecretsOptions;
  readonly #clock: Clock;
  #layout: KvLayout | null = null;

  constructor(client: VaultClient, options: SecretsOptions, clock: Clock) {
    this.#client = client;
    this.#options = options;
    this.#clock = clock;
  }

  /** @returns null where there is none. @throws TokenError */
  async fetch(
    signal: AbortSignal,
    { key = DEFAULT_TOKEN_KEY, plane = "status_panel" }: { readonly key?: string; readonly plane?: Plane } = {},
  ): Promise<StoredToken | null> {
    const { version, reply, path } = await this.#read(key, signal);
    if (reply.status === 404) return null;
    const seenAt = this.#clock.now();
    const data = (reply.json?.["data"] ?? {}) as Record<string, unknown>;
    const where = `${path} in Vault`;
    if (version === 1) return { ...parseEntry(data, { plane, where, seenAt }), version: null };
    const metadata = (data["metadata"] ?? {}) as { readonly version?: number; readonly created_time?: string };
    const writtenAt = Date.parse(metadata.created_time ?? "");
    const seen = (Number.isNaN(writtenAt) ? seenAt : writtenAt) as EpochMs;
    return {
      ...parseEntry(data["data"], { plane, where, seenAt: seen }),
      version: String(metadata.version ?? 0),
    };
  }

  /** KV v2 checks that nobody wrote meanwhile (check-and-set); v1 cannot. */
  async store(
    entry: TokenEntry,
    signal: AbortSignal,
    { expected, key = DEFAULT_TOKEN_KEY }: { readonly expected: string | null; readonly key?: string },
  ): Promise<void> {
    const layout = await this.#layoutOf(signal);
    const path = kvPath(layout, "data", this.#pathOf(key));
    const cas = layout.version === 1 ? null : (expected ?? (await this.#lastVersion(key, signal)));
    const data = entryData(entry);
    const body = cas === null ? data : { options: { cas: Number(cas) }, data };
    const reply = await this.#client.request("POST", path, body, signal);
    if (reply.status < 300) return;
    if (reply.words.some((word) => /check-and-set/.test(word)))
      throw new TokenError("changed", `${path} was changed in Vault meanwhile; try again`);
    throw this.#unexpected(path, reply);
  }

  /** Of v2 all versions: those in its history are secrets too. */
  async remove(signal: AbortSignal, key = DEFAULT_TOKEN_KEY): Promise<void> {
    const path = kvPath(await this.#layoutOf(signal), "metadata", this.#pathOf(key));
    const reply = await this.#client.request("DELETE", path, undefined, signal);
    if (reply.status >= 400 && !isAbsent(reply)) throw this.#unexpected(path, reply);
  }

  async #read(key: string, signal: AbortSignal) {
    const layout = await this.#layoutOf(signal);
    const path = kvPath(layout, "data", this.#pathOf(key));
    const reply = await this.#client.request("GET", path, undefined, signal);
    if (reply.status !== 200 && !isAbsent(reply)) throw this.#unexpected(path, reply);
    return { version: layout.version, reply, path };
  }

  /** Nobody has it now; a soft-deleted one goes on counting. */
  async #lastVersion(key: string, signal: AbortSignal): Promise<number> {
    const { reply } = await this.#read(key, signal);
    if (reply.status !== 404) throw new TokenError("changed", "somebody else has stored a token meanwhile; try again");
    const data = reply.json?.["data"] as { readonly metadata?: { readonly version?: number } } | null | undefined;
    return data?.metadata?.version ?? 0;
  }

  async #layoutOf(signal: AbortSignal): Promise<KvLayout> {
    const path = this.#pathOf(DEFAULT_TOKEN_KEY);
    const { kvVersion } = this.#options;
    this.#layout ??= kvVersion === null ? await askKvLayout(this.#client, path, signal) : toldKvLayout(kvVersion, path);
    return this.#layout;
  }

  #pathOf(key: string): string {
    return `${this.#options.pathPrefix}/${this.#options.deploymentHash}/${key}`;
  }

  #unexpected(path: string, reply: VaultReply): TokenError {
    // Mounted anew as another version, perhaps: asked again next time.
    this.#layout = null;
    if (reply.words.some((word) => /namespace not found/i.test(word))) return noNamespace(this.#client);
    const reason = reply.status === 404 ? "missing" : "malformed";
    return new TokenError(reason, `Vault answers ${reply.status} for ${path}: ${reply.words.join("; ")}`);
  }
}

/** 404 also means "no such mount", "wrong version" and "no such namespace"; those come with words. */
function isAbsent({ status, words }: VaultReply): boolean {
  return status === 404 && words.length === 0;
}
