import type { Clock } from "../../../base/clock.ts";
import { withDeadline } from "../../../base/deadline.ts";
import { errorText, HarnessError } from "../../../base/errors.ts";
import { TokenError } from "../types.ts";

export interface VaultAddress {
  readonly address: string;
  readonly token: string;
  readonly namespace: string | null;
  /** For one request; 5 s unless told. */
  readonly timeoutMs?: number;
}

export interface VaultReply {
  /** 2xx, 400 or 404: what else there is has been thrown. */
  readonly status: number;
  /** null where there was no body. */
  readonly json: Readonly<Record<string, unknown>> | null;
  /** Of the body's `errors` and `warnings`. */
  readonly words: readonly string[];
}

export interface VaultClient {
  readonly address: string;
  /** @param path below `/v1/`. @throws TokenError `down`, `timeout`, `sealed`, `denied`, `malformed` */
  request(method: "GET" | "POST" | "DELETE", path: string, body: unknown, signal: AbortSignal): Promise<VaultReply>;
}

const TIMEOUT_MS = 5_000;
const MOST_BYTES = 1024 * 1024;

/**
 * One request at a time over Vault's HTTP API (https://developer.hashicorp.com/vault/api-docs). Its token goes into one
 * header and nowhere else: redirects are not followed, since they would carry it to another server, and messages are
 * made from status and error words, never from what was sent.
 */
export function vaultClient(
  { address, token, namespace, timeoutMs = TIMEOUT_MS }: VaultAddress,
  deps: { readonly clock: Clock; readonly fetch: typeof globalThis.fetch },
): VaultClient {
  const base = address.replace(/\/+$/, "");
  const headers = {
    "x-vault-token": token,
    // Asked for by servers that are set up against request forgery (api-docs: `require_request_header`).
    "x-vault-request": "true",
    ...(namespace === null ? {} : { "x-vault-namespace": namespace }),
  };
  return {
    address: base,
    async request(method, path, body, signal) {
      const ask = async (inner: AbortSignal): Promise<{ readonly status: number; readonly text: string }> => {
        const response = await deps.fetch(`${base}/v1/${path}`, {
          method,
          headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          redirect: "manual",
          signal: inner,
        });
        return { status: response.status, text: await bounded(response) };
      };
      try {
        const { status, text } = await withDeadline(deps.clock, { ms: timeoutMs, what: "Vault", signal }, ask);
        return judged(base, path, status, text);
      } catch (error) {
        signal.throwIfAborted();
        throw asTokenError(base, error);
      }
    },
  };
}

async function bounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new TokenError("malformed", "Vault's answer is far too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function judged(address: string, path: string, status: number, text: string): VaultReply {
  const json = parsed(text);
  const words = [...wordsOf(json?.["errors"]), ...wordsOf(json?.["warnings"])];
  const said = words.length === 0 ? "" : `: ${words.join("; ").replaceAll(/\s+/g, " ").trim()}`;
  if (status >= 300 && status < 400)
    throw new TokenError(
      "down",
      `${address} sends us to another server, to which the token is not sent: set VAULT_ADDRESS to the active one`,
    );
  if (status === 401 || status === 403) throw new TokenError("denied", `Vault refuses ${path} (${status})${said}`);
  if (status === 503 && words.some((word) => /sealed/i.test(word)))
    throw new TokenError("sealed", `Vault at ${address} is sealed: somebody has to unseal it`);
  if (status === 400 || status === 404 || (status >= 200 && status < 300)) {
    // A proxy in between answers in HTML, and its 404 says nothing about the token.
    if (json === null && status !== 204)
      throw new TokenError("malformed", `${address} answers ${status} without JSON: is it Vault?`);
    return { status, json, words };
  }
  throw new TokenError("down", `Vault at ${address} answers ${status}${said}`);
}

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const json: unknown = JSON.parse(text);
    return json !== null && typeof json === "object" ? (json as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function wordsOf(list: unknown): string[] {
  return Array.isArray(list) ? list.map(String) : [];
}

function asTokenError(address: string, error: unknown): TokenError {
  if (error instanceof TokenError) return error;
  if (error instanceof HarnessError && error.code === "timeout")
    return new TokenError("timeout", `${error.message} (${address})`, { cause: error });
  // fetch says "fetch failed" and hides the reason one level below.
  const why = error instanceof Error && error.cause !== undefined ? errorText(error.cause) : errorText(error);
  return new TokenError("down", `Vault at ${address} cannot be reached: ${why}`, { cause: error });
}
