import { once } from "node:events";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { errorText } from "../../../base/errors.ts";
import { listenPrivately } from "../../../base/listen-privately.ts";
import type { Clock, Log } from "../../../protocol.ts";
import type { Admission, Claim, IncidentAccess } from "../../../../tickets/index.ts";
import { inputSchema } from "../../tool-schema.ts";
import { callSchema, clientSchema, type DoorReply, type Welcome } from "./door-contract.ts";
import type { Visit } from "./visit.ts";

export interface DoorOptions {
  readonly visit: Visit;
  readonly access: IncidentAccess;
  readonly runbooks: Welcome["runbooks"];
}

const MAX_BODY_BYTES = 1_048_576;
/** How long answers that are under way may take once the work has ended. */
const CLOSE_GRACE_MS = 1_000;

/** Every request shows its token, and it must be good for this claim at this moment. */
export function doorApp(
  { visit, access, runbooks }: DoorOptions,
  log: Log,
): Hono<{ Variables: { admission: Admission } }> {
  const app = new Hono<{ Variables: { admission: Admission } }>();
  const { context } = visit;
  const tooMuch = `the call is larger than ${MAX_BODY_BYTES} bytes`;
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: (c) => c.json(notCarriedOut(tooMuch), 413) }));
  app.use(async (c, next) => {
    const token = /^Bearer (\S+)$/.exec(c.req.header("authorization") ?? "")?.[1];
    const admission = token === undefined ? null : await access.check(token);
    if (admission === null || !sameClaim(admission.claim, context.incident))
      return c.json({ error: "the token is not good for this incident" }, 401);
    c.set("admission", admission);
    await next();
  });
  app.get("/incident", (c) => {
    const { incident, mode, limits, briefing, tools } = context;
    const { scopes } = c.get("admission");
    const welcome: Welcome = {
      incident: {
        batchKey: incident.batchKey,
        attempt: incident.attempt,
        tickets: incident.tickets.map((ticket) => ({ ...ticket })),
      },
      mode,
      limits: { turns: limits.turns, workingMs: limits.workingMs },
      briefing,
      runbooks,
      // A shell is for the operator that runs beside it.
      tools: tools
        .filter(({ name }) => name !== "shell")
        .map((tool) => ({ name: tool.name, description: tool.description, inputSchema: inputSchema(tool) })),
      scopes: [...scopes],
    };
    return c.json(welcome);
  });
  app.post("/client", async (c) => {
    const { name, version } = clientSchema.parse(await c.req.json());
    context.say(`a client has come: ${name} ${version}, token ${c.get("admission").fingerprint}`);
    return c.json({ ok: true });
  });
  app.post("/call", async (c) => {
    const { tool, input } = callSchema.parse(await c.req.json());
    if (tool === "shell") return c.json(notCarriedOut("there is no tool shell"));
    return c.json(await visit.call(tool, input, c.get("admission")));
  });
  app.onError((error, c) => {
    if (error instanceof z.ZodError || error instanceof SyntaxError)
      return c.json(notCarriedOut(error instanceof z.ZodError ? z.prettifyError(error) : errorText(error)), 400);
    log.warn("door.failed", { why: errorText(error) });
    // The lab's own failure ends the session; its words are not for the operator.
    return c.json({ text: "the session has ended", isError: true, over: true }, 503);
  });
  return app;
}

const notCarriedOut = (text: string): DoorReply => ({ text, isError: true, over: false });

function sameClaim(a: Claim, b: Claim): boolean {
  return a.batchKey === b.batchKey && a.holder === b.holder && a.attempt === b.attempt;
}

/** Listens on a socket that only this user can open. Disposing it lets answers under way be sent. */
export async function openDoor(app: Pick<Hono, "fetch">, path: string, clock: Clock): Promise<AsyncDisposable> {
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  // Waiting for a person takes as long as it takes.
  server.requestTimeout = 0;
  await listenPrivately(server, path);
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      const late = new AbortController();
      await Promise.race([closed, clock.sleep(CLOSE_GRACE_MS, late.signal).catch(() => {})]);
      late.abort();
      server.closeAllConnections();
      await closed;
    },
  };
}
