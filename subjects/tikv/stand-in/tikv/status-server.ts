import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { errorText } from "../../../../harness/base/errors.ts";
import type { MetricRegistry } from "../../../common/metrics/registry.ts";
import type { NodeLogLevel } from "../node-log.ts";
import type { ConfigController } from "./config/controller.ts";
import { cpuProfile } from "./cpu-profile.ts";
import { regionMeta } from "./region-meta.ts";
import { getConfig, postConfig, putLogLevel, reloadConfig } from "./status-config.ts";
import { bodyOf, EMPTY, jsonReply, NOT_FOUND, send, textReply, type StatusReply } from "./status-reply.ts";
import type { Store } from "./store.ts";

/** Whatever the status port answers from, and what it may do. */
export interface StatusSources {
  readonly registry: MetricRegistry;
  readonly store: Store;
  readonly config: ConfigController;
  /** What the program was called with, after its name. */
  readonly argv: readonly string[];
  setLogLevel(level: NodeLogLevel): void;
  /** The gRPC service goes, the rest stays. @throws with why not */
  pauseGrpc(): Promise<void>;
  resumeGrpc(): Promise<void>;
}

/** One request: what was asked, and its body on demand. */
interface Asked {
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
}

type Handler = (sources: StatusSources, asked: Asked) => StatusReply | Promise<StatusReply>;

const GONE = textReply(410, "");

/** Verb and path, as TiKV's router has them (tikv/tikv:src/server/status_server/mod.rs, `start_serve`). */
const ROUTES: Readonly<Record<string, Handler>> = {
  "GET /status": () => EMPTY,
  "GET /metrics": ({ registry }, { request }) => metrics(registry, request),
  "GET /config": ({ config }, { query }) => getConfig(config, query),
  "POST /config": async ({ config }, { query, request }) => postConfig(config, query, await bodyOf(request)),
  "PUT /config/reload": ({ config }) => reloadConfig(config),
  "GET /engine_type": () => ({ status: 200, body: "raft-kv", headers: { "content-type": "text/plain" } }),
  "GET /resource_groups": () => jsonReply("[]"),
  "GET /async_tasks": () => ({ status: 200, body: "", headers: { "content-type": "text/plain" } }),
  "GET /force_partition_ranges": () => jsonReply("[]"),
  "PUT /pause_grpc": ({ pauseGrpc }) => switched(pauseGrpc, "pause"),
  "PUT /resume_grpc": ({ resumeGrpc }) => switched(resumeGrpc, "resume"),
  "GET /debug/pprof/profile": (_sources, { query, request }) =>
    cpuProfile(query, request.headers["content-type"] === "application/protobuf"),
  "GET /debug/pprof/heap": () => textReply(500, "memory profiling is not enabled"),
  "GET /debug/pprof/heap_list": () => GONE,
  "GET /debug/pprof/heap_activate": () => GONE,
  "GET /debug/pprof/heap_deactivate": () => GONE,
  "GET /debug/pprof/cmdline": ({ argv }) => plain(["tikv-server", ...argv].map((word) => `${word}\0`).join("")),
  "GET /debug/pprof/symbol": () => plain("num_symbols: 0\n"),
  "POST /debug/pprof/symbol": async (_sources, { request }) => plain(unresolved(await bodyOf(request))),
};

/** TiKV's status server (facts §3): it starts last, and answers whatever state the store is in. */
export function statusListener(sources: StatusSources): RequestListener {
  return (request, response) => {
    answer(sources, request).then(
      (reply) => send(response, reply),
      (error: unknown) => fail(response, error),
    );
  };
}

async function answer(sources: StatusSources, request: IncomingMessage): Promise<StatusReply> {
  const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://status");
  const { method = "GET" } = request;
  const handler = ROUTES[`${method} ${pathname}`];
  if (handler !== undefined) return handler(sources, { query, request });
  if (method === "GET" && pathname.startsWith("/region")) return region(sources.store, pathname);
  if (method === "PUT" && pathname.startsWith("/log-level"))
    return putLogLevel(await bodyOf(request), (level) => sources.setLogLevel(level));
  return NOT_FOUND;
}

function region(store: Store, pathname: string): StatusReply {
  const id = /\/region\/(\d+)/.exec(pathname)?.[1];
  if (id === undefined) return textReply(404, `path ${pathname} not found`);
  if (BigInt(id) >= 1n << 64n) return textReply(400, "invalid region id: number too large to fit in target type");
  const peer = store.peer(Number(id));
  return peer === undefined ? textReply(404, `region(${id}) not found`) : jsonReply(JSON.stringify(regionMeta(peer)));
}

function metrics(registry: MetricRegistry, request: IncomingMessage): StatusReply {
  const text = registry.text();
  const type = { "content-type": "text/plain; version=0.0.4" };
  const accepted = String(request.headers["accept-encoding"] ?? "").split(",");
  if (!accepted.some((coding) => /^\s*gzip(?:;|\s*$)/.test(coding))) return { status: 200, body: text, headers: type };
  return { status: 200, body: gzipSync(text), headers: { ...type, "content-encoding": "gzip" } };
}

async function switched(act: () => Promise<void>, verb: "pause" | "resume"): Promise<StatusReply> {
  try {
    await act();
    return textReply(200, `Successfully ${verb} grpc service`);
  } catch (error) {
    return textReply(500, `fails to ${verb} grpc: ${errorText(error)}`);
  }
}

function plain(body: string): StatusReply {
  return { status: 200, body, headers: { "content-type": "text/plain", "x-content-type-options": "nosniff" } };
}

/** There is no machine code of ours to name. */
function unresolved(body: string): string {
  const pcs = body.split("+").map((text) => Number.parseInt(text.replace(/^0x/, ""), 16));
  return pcs.flatMap((pc) => (pc > 0 ? [`0x${pc.toString(16)} ??\n`] : [])).join("");
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else send(response, textReply(500, errorText(error)));
}
