import { SubjectError } from "../../../../harness/base/errors.ts";
import type { Component } from "../../../../harness/protocol.ts";
import { type ClientDeps, type HttpAnswer, exchange } from "./http.ts";
import { parseLossless } from "./lossless.ts";

/**
 * TiKV's status port. It opens last, so an answer means "started", never "healthy"; and a connection proves nothing:
 * a frozen process still accepts them. Every method throws `NoAnswer` or the signal's reason; those with a typed
 * result also `SubjectError` with TiKV's own words.
 */
export interface StatusClient {
  readonly stores: readonly Component[];
  /** Any status is an answer. `path` is absolute, e.g. `/region/14`. */
  request(
    store: string,
    method: string,
    path: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer>;
  /** GET /status, answered in full within `timeoutMs`. @throws NoAnswer */
  probe(store: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  metrics(store: string, signal: AbortSignal): Promise<string>;
  config(store: string, signal: AbortSignal): Promise<unknown>;
  /** Local raft state of a region; null when the store has no replica of it. */
  region(store: string, id: string, signal: AbortSignal): Promise<unknown>;
}

export interface StatusClientOptions {
  /** Base URL of each store's status port, by component. */
  readonly stores: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 5_000;

export function statusClient(options: StatusClientOptions, deps: ClientDeps): StatusClient {
  const urls = new Map(Object.entries(options.stores));
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;

  const send = (
    store: string,
    request: { method: string; path: string; body?: string | undefined; timeoutMs?: number },
    signal: AbortSignal,
  ): Promise<HttpAnswer> => {
    const base = urls.get(store);
    if (base === undefined)
      throw new SubjectError(`no store ${store} with a status port; there are ${[...urls.keys()].join(", ")}`);
    const { method, path, body } = request;
    const headers: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    const url = `${base}${path.startsWith("/") ? path : `/${path}`}`;
    return exchange(deps, { method, url, body, headers, timeoutMs: request.timeoutMs ?? timeoutMs }, signal);
  };
  const read = async (store: string, path: string, signal: AbortSignal): Promise<string> => {
    const answer = await send(store, { method: "GET", path }, signal);
    if (answer.status !== 200)
      throw new SubjectError(`${store} answers ${answer.status} to ${path}: ${answer.text.trim().slice(0, 200)}`, {
        details: { status: answer.status },
      });
    return answer.text;
  };

  return {
    stores: [...urls.keys()] as Component[],
    request: async (store, method, path, body, signal) => send(store, { method, path, body }, signal),
    probe: async (store, ms, signal) => {
      await send(store, { method: "GET", path: "/status", timeoutMs: ms }, signal);
    },
    metrics: (store, signal) => read(store, "/metrics", signal),
    config: async (store, signal) => parseLossless(await read(store, "/config", signal)),
    region: async (store, id, signal) => {
      try {
        return parseLossless(await read(store, `/region/${id}`, signal));
      } catch (error) {
        if (error instanceof SubjectError && error.details["status"] === 404) return null;
        throw error;
      }
    },
  };
}
