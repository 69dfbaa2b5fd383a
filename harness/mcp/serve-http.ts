import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { Hono } from "hono";
import { errorText, HarnessError } from "../base/errors.ts";
import type { Clock, Ids, Log } from "../protocol.ts";
import { tokenFingerprint, type Admission } from "../../tickets/index.ts";
import { visitor } from "./door-client.ts";
import { incidentServer } from "./incident-server.ts";

export interface HttpOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** Names under which it may be asked, without port; this machine's own are always among them. */
  readonly allowHosts: readonly string[];
  readonly version: string;
  admit(token: string): Promise<Admission | null>;
}

export interface HttpServing extends AsyncDisposable {
  /** e.g. `http://127.0.0.1:8711/mcp`. */
  readonly url: string;
}

type Deps = { readonly clock: Clock; readonly ids: Ids; readonly log: Log };

interface Session {
  readonly fingerprint: string;
  readonly server: Server;
  readonly transport: WebStandardStreamableHTTPServerTransport;
}

const OWN_NAMES = ["127.0.0.1", "localhost", "[::1]"];
/** Clients that come and never say goodbye; the oldest goes first. */
const MAX_SESSIONS = 64;

/**
 * MCP over streamable HTTP: one MCP session is one incident, and each of its requests shows the token that it was
 * begun with. A page in somebody's browser cannot ask: the `Host` must be a name of ours (a name that was made to point
 * here is not), and an `Origin` must be ours too (MCP specification, transports, "Security Warning").
 *
 * @throws HarnessError `port-taken`
 */
export async function serveHttp(options: HttpOptions, deps: Deps, signal: AbortSignal): Promise<HttpServing> {
  const sessions = new Map<string, Session>();
  const app = mcpApp(options, sessions, deps, signal);
  const http = createAdaptorServer({ fetch: app.fetch }) as HttpServer;
  // Event streams and calls that wait for a person last.
  http.requestTimeout = 0;
  try {
    http.listen({ host: options.host, port: options.port });
    await once(http, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new HarnessError("port-taken", `port ${options.port} is taken; name another with --port`, { cause: error });
  }
  const { port } = http.address() as AddressInfo;
  const name = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    url: `http://${name}:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      for (const { server } of sessions.values()) await server.close();
      const closed = once(http, "close");
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}

function mcpApp(
  options: HttpOptions,
  sessions: Map<string, Session>,
  deps: Deps,
  signal: AbortSignal,
): Hono<{ Variables: { token: string } }> {
  const names = new Set([...OWN_NAMES, ...options.allowHosts]);
  const app = new Hono<{ Variables: { token: string } }>();
  app.use(async (c, next) => {
    if (!names.has(hostName(c.req.header("host")))) return c.json({ error: "this name is not ours" }, 403);
    const origin = c.req.header("origin");
    if (origin !== undefined && !(URL.canParse(origin) && names.has(new URL(origin).hostname)))
      return c.json({ error: "not from this origin" }, 403);
    const token = /^Bearer (\S+)$/.exec(c.req.header("authorization") ?? "")?.[1];
    if (token === undefined) return unauthorized(null);
    c.set("token", token);
    await next();
  });
  app.all("/mcp", async (c) => {
    const { token } = c.var;
    const id = c.req.header("mcp-session-id");
    if (id !== undefined) {
      const session = sessions.get(id);
      // Somebody else's session does not exist for this token. Whether the token is still good the door says, in words
      // that a model can read.
      if (session === undefined || session.fingerprint !== tokenFingerprint(token))
        return c.json({ jsonrpc: "2.0", error: { code: -32_001, message: "Session not found" }, id: null }, 404);
      return await session.transport.handleRequest(c.req.raw);
    }
    const admission = await options.admit(token);
    if (admission === null) return unauthorized("invalid_token");
    return await begin({ admission, token }, c.req.raw, { options, sessions, deps, signal });
  });
  app.onError((error, c) => {
    deps.log.warn("mcp.failed", { why: errorText(error) });
    const over = error instanceof HarnessError && error.code === "lease-lost";
    return c.json({ error: over ? error.message : "the session cannot be reached" }, over ? 401 : 503);
  });
  return app;
}

/** RFC 6750, section 3. */
function unauthorized(error: "invalid_token" | null): Response {
  const body = { error: "a bearer token that is good for an incident is needed" };
  const challenge = error === null ? "Bearer" : `Bearer error="${error}"`;
  return Response.json(body, { status: 401, headers: { "www-authenticate": challenge } });
}

/** A request without a session: only `initialize` begins one, which the transport itself sees to. */
async function begin(
  { admission, token }: { readonly admission: Admission; readonly token: string },
  request: Request,
  given: {
    readonly options: HttpOptions;
    readonly sessions: Map<string, Session>;
    readonly deps: Deps;
    readonly signal: AbortSignal;
  },
): Promise<Response> {
  const { options, sessions, deps, signal } = given;
  const { fingerprint, socketPath } = admission;
  const server = await incidentServer(visitor({ socketPath, token }), { ...deps, version: options.version }, signal);
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => deps.ids.hex(16),
    onsessioninitialized: (id) => {
      deps.log.info("mcp.session", { token: fingerprint });
      sessions.set(id, { fingerprint, server, transport });
      const [oldest] = sessions.keys();
      if (sessions.size > MAX_SESSIONS && oldest !== undefined) void sessions.get(oldest)?.server.close();
    },
  });
  server.onclose = () => {
    if (transport.sessionId !== undefined) sessions.delete(transport.sessionId);
  };
  await server.connect(transport);
  const response = await transport.handleRequest(request);
  if (transport.sessionId === undefined) await server.close();
  return response;
}

function hostName(host: string | undefined): string {
  return (host ?? "").replace(/:\d+$/, "").toLowerCase();
}
