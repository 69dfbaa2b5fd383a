import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { MetricRegistry } from "../../../common/metrics/registry.ts";
import type { Store } from "./store.ts";

/** Whatever the status port answers from. */
export interface StatusSources {
  readonly registry: MetricRegistry;
  readonly store: Store;
  readonly config: Readonly<Record<string, unknown>>;
}

/** TiKV's status server (facts §3): it starts last, and answers whatever state the store is in. */
export function statusListener(sources: StatusSources): RequestListener {
  return (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://status");
    if (request.method !== "GET") return reply(response, 404, "path not found");
    if (pathname === "/status") return reply(response, 200, "");
    if (pathname === "/metrics") return metrics(request, response, sources.registry);
    if (pathname === "/config") return json(response, sources.config);
    if (pathname === "/engine_type") return reply(response, 200, "raft-kv");
    if (pathname.startsWith("/region/")) return region(response, sources.store, pathname.slice("/region/".length));
    return reply(response, 404, "path not found");
  };
}

function region(response: ServerResponse, store: Store, id: string): void {
  if (!/^\d+$/.test(id)) return reply(response, 400, "bad request");
  const peer = store.peer(Number(id));
  if (peer === undefined) return reply(response, 404, `region(${id}) not found`);
  json(response, peer.describe());
}

function metrics(request: IncomingMessage, response: ServerResponse, registry: MetricRegistry): void {
  const text = registry.text();
  response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
  if (!String(request.headers["accept-encoding"] ?? "").includes("gzip")) return void response.end(text);
  response.setHeader("content-encoding", "gzip");
  response.end(gzipSync(text));
}

function json(response: ServerResponse, body: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}

function reply(response: ServerResponse, status: number, body: string): void {
  response.statusCode = status;
  response.end(body);
}
