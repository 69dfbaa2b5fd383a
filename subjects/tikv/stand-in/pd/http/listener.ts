import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Clock } from "../../../../../harness/base/clock.ts";
import { errorText } from "../../../../../harness/base/errors.ts";
import { NotDecidedError } from "../consensus.ts";
import { configRoutes } from "./config-routes.ts";
import { etcdRoutes } from "./etcd-routes.ts";
import { memberRoutes } from "./member-routes.ts";
import { operatorRoutes } from "./operator-routes.ts";
import { hotspotRoutes } from "./hotspot-routes.ts";
import { otherRoutes } from "./other-routes.ts";
import type { HttpParts } from "./parts.ts";
import { LeaderProxy } from "./proxy.ts";
import { regionRoutes } from "./region-routes.ts";
import { empty, json, replyOf, text, type Reply } from "./reply.ts";
import { Router } from "./router.ts";
import { ruleRoutes } from "./rule-routes.ts";
import { schedulerRoutes } from "./scheduler-routes.ts";
import { serviceName } from "./service-names.ts";
import { storeRoutes } from "./store-routes.ts";
import { trendRoutes } from "./trend-routes.ts";
import { unsafeRoutes } from "./unsafe-routes.ts";

/** Answered by the member itself, from 8.5.5 on. */
const LOCAL = ["admin/log", "status", "health", "ping", "version", "debug/pprof"].map((path) => `/pd/api/v1/${path}`);
const NEEDS_BOOTSTRAP = /^\/pd\/api\/v1\/(stores?|regions?|stats|labels|trend|hotspot|operators|schedulers)(\/|$)/;

/** PD's whole HTTP side, for the client port. */
export function pdListener(parts: HttpParts, clock: Clock): RequestListener {
  const etcd = new Router(etcdRoutes(parts));
  const pd = new Router(
    memberRoutes(parts),
    storeRoutes(parts),
    regionRoutes(parts),
    schedulerRoutes(parts),
    operatorRoutes(parts),
    configRoutes(parts),
    ruleRoutes(parts),
    hotspotRoutes(parts),
    trendRoutes(parts),
    unsafeRoutes(parts),
    otherRoutes(parts),
  );
  const proxy = new LeaderProxy(parts, clock);
  const answer = async (request: IncomingMessage): Promise<Reply> => {
    const url = new URL(request.url ?? "/", "http://pd");
    const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, "") : url.pathname;
    const method = request.method ?? "GET";
    const body = await bodyOf(request);
    // As etcd's: it takes connections at once and serves them when it has joined the others.
    await parts.leadership.joined;
    const own = etcd.match(method, path);
    if (own.kind === "found") return own.handler({ params: own.params, query: url.searchParams, body });
    if (!path.startsWith("/pd")) return text("404 page not found\n", 404);
    if (!parts.leadership.started) return notStarted(path);
    const byFollower = request.headers["pd-allow-follower-handle"] !== undefined;
    if (!parts.leadership.answersAsLeader && !isLocal(method, path) && !byFollower)
      return proxy.pass({ method, url: request.url ?? "/", headers: request.headers, body });
    const match = pd.match(method, path);
    if (match.kind === "wrong-method") return empty(405);
    if (match.kind === "none") return text("404 page not found\n", 404);
    const knowsCluster = parts.leadership.answersAsLeader || /\/regions?\//.test(`${path}/`);
    if (NEEDS_BOOTSTRAP.test(path) && !(parts.cluster.bootstrapped && knowsCluster))
      return json("[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first", 500);
    const began = clock.monotonic();
    const reply = await match.handler({ params: match.params, query: url.searchParams, body });
    const service = serviceName(match.key);
    if (service !== null) parts.observed.http.observe({ method: "HTTP", service }, (clock.monotonic() - began) / 1_000);
    return reply;
  };
  // As Go's server: of several requests on one connection the next is begun when the last is answered.
  const turns = new WeakMap<object, Promise<void>>();
  return (request, response) => {
    const turn = (turns.get(request.socket) ?? Promise.resolve())
      .then(() => answer(request))
      .catch((error: unknown) => replyOf(error) ?? failed(error))
      .then(
        (reply) => send(response, reply),
        () => void response.destroy(),
      );
    turns.set(request.socket, turn);
  };
}

function isLocal(method: string, path: string): boolean {
  return (
    LOCAL.some((prefix) => path === prefix || path.startsWith(`${prefix}/`)) ||
    (method === "GET" && path === "/pd/api/v1/config")
  );
}

function notStarted(path: string): Reply {
  if (path === "/pd/api/v1/ping") return empty();
  if (path === "/pd/api/v1/health")
    return text(
      "PANIC: runtime error: invalid memory address or nil pointer dereference\ngoroutine 422 [running]:\n",
      500,
    );
  return text("[PD:server:ErrServerNotStarted]server not started\n", 500);
}

function failed(error: unknown): Reply {
  // The member lost its leadership on the way: nobody knows what became of the request.
  if (error instanceof NotDecidedError)
    return json("[PD:etcd:ErrEtcdTxnConflict]etcd transaction failed, conflicted and rolled back", 500);
  return json(errorText(error), 500);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, reply: Reply): void {
  const type = reply.contentType === null ? {} : { "Content-Type": reply.contentType };
  response.writeHead(reply.status, { ...type, ...reply.headers, "Content-Length": Buffer.byteLength(reply.body) });
  response.end(reply.body);
}
