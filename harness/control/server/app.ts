import { Hono } from "hono";
import { errorText } from "../../base/errors.ts";
import { ApiError } from "./api-error.ts";
import { authRoutes } from "./auth-routes.ts";
import { commandRoutes } from "./command-routes.ts";
import type { ServerCore } from "./core.ts";
import { eventRoutes } from "./event-routes.ts";
import type { Caller } from "./gate.ts";
import { openApi } from "./openapi.ts";
import { resources } from "./perform.ts";
import { refusalOf } from "./permit.ts";
import { capabilities, health } from "./probe.ts";
import { ROUTES, type RouteSpec } from "./routes.ts";
import type { AddRoute, ControlContext, ControlEnv, Signed } from "./signed-route.ts";
import { ticketRoutes } from "./ticket-routes.ts";

const NOBODY = { body: Buffer.alloc(0) } as Caller;

/** The API as a Hono app; it needs Node's request, so serve it with @hono/node-server. */
export function createControlApp(core: ServerCore): Hono<ControlEnv> {
  const app = new Hono<ControlEnv>();
  const document = JSON.stringify(openApi(core.options.version));
  const route: AddRoute = (method, path, scope, run) => {
    if (!ROUTES.some((each) => each.method === method && each.path === path && each.scope === scope))
      throw new Error(`${method} ${path} is not in the document, or under another scope`);
    app.on(method, path, async (c) => {
      const began = core.deps.clock.monotonic();
      const answer = await answered(core, c, { path, scope }, run);
      const long =
        answer.headers.get("content-type")?.startsWith("text/event-stream") === true || path.includes("/wait/");
      if (!long) core.metrics.request(path, answer.status, (core.deps.clock.monotonic() - began) / 1_000);
      return answer;
    });
  };
  route("GET", "/health", null, async (c) => c.json(await health(core)));
  route("GET", "/capabilities", null, async (c) => c.json(await capabilities(core)));
  route("GET", "/openapi.json", null, (c) => c.body(document, 200, { "content-type": "application/json" }));
  route("GET", "/metrics", null, async (c) => {
    if (c.req.header("accept")?.startsWith("application/json") === true)
      return c.json({ timestamp_ms: core.deps.clock.now(), ...(await resources(core.options.stateDir)) });
    return c.body(await core.metrics.text(), 200, { "content-type": core.metrics.contentType });
  });
  route("GET", "/api/v1/diagnostics/commands", null, (c) => c.json(core.counts.toJSON()));
  commandRoutes(core, route);
  authRoutes(core, route);
  ticketRoutes(core, route);
  eventRoutes(core, route);
  app.notFound((c) => c.json({ error: "there is no such endpoint", code: "not-found" }, 404));
  app.onError((error, c) => refusedAnswer(core, c as ControlContext, error));
  return app;
}

/** Requests that stay open while nothing happens: a caller may have so many of them and no more. */
const STAYING = new Set([
  "/api/v1/commands/wait/:hash",
  "/api/v1/sessions/:id/entries",
  "/api/v1/events",
  "/api/v1/engine/events",
]);

/** Made once: it is the reason after every answer, and a stack each time costs more than the rest of it. */
const GONE = new ApiError("unavailable", "the caller is gone");

async function answered(
  core: ServerCore,
  c: ControlContext,
  { path, scope }: Pick<RouteSpec, "path" | "scope">,
  run: Signed,
): Promise<Response> {
  const gone = new AbortController();
  c.env.outgoing.once("close", () => gone.abort(GONE));
  let caller: Caller | null = null;
  try {
    if (scope === null) return await run(c, NOBODY, gone.signal);
    caller = await core.gate.authenticate(c.env.incoming, gone.signal);
    if (core.ending.aborted) throw new ApiError("unavailable", "the server ends");
    if (scope !== "command") core.gate.allow(caller, scope);
    if (STAYING.has(path)) core.gate.stay(caller, gone.signal);
    return await run(c, caller, gone.signal);
  } catch (error) {
    return refusedAnswer(core, c, error, caller);
  }
}

/** @param caller null = a stranger. Only people are told a failure's own words: they name paths of this machine. */
function refusedAnswer(core: ServerCore, c: ControlContext, error: unknown, caller: Caller | null = null): Response {
  const refusal =
    refusalOf(error, caller?.plane ?? null) ?? new ApiError("unavailable", "the server failed; its log says why");
  if (!(error instanceof ApiError)) core.deps.log.error("control.request-failed", { why: errorText(error) });
  const { status, code, message, extra } = refusal;
  const retryMs = extra["retry_after_ms"];
  if (typeof retryMs === "number") c.header("retry-after", String(Math.ceil(retryMs / 1_000)));
  return c.json({ error: message, code, ...extra }, status);
}
