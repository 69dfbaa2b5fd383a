import { decideRequest, ticketAnswers } from "../ticket-answers.ts";
import { ApiError } from "./api-error.ts";
import type { AddRoute } from "./signed-route.ts";
import type { ServerCore } from "./core.ts";
import { bodyAs, checked } from "./parse-command.ts";
import { queries } from "./routes.ts";

/** What people see of the ticket file. */
export function ticketRoutes(core: ServerCore, route: AddRoute): void {
  const { options, deps } = core;
  const file = (): ReturnType<typeof ticketAnswers> => {
    if (options.tickets === null) throw new ApiError("not-found", "this server has no ticket file");
    return ticketAnswers(options.tickets, options.deploymentHash, deps.clock);
  };

  route("GET", "/api/v1/tickets", "tickets:read", async (c) =>
    c.json(await file().tickets(checked(queries.list, c.req.query()))),
  );

  route("GET", "/api/v1/sessions", "sessions:read", async (c) =>
    c.json(await file().sessions(checked(queries.sessions, c.req.query()))),
  );

  route("GET", "/api/v1/sessions/:id/entries", "sessions:read", async (c, _, gone) => {
    const until = AbortSignal.any([gone, core.ending]);
    const query = checked(queries.entries, c.req.query());
    return c.json(await file().entries(c.req.param("id") ?? "", query, until));
  });

  route("GET", "/api/v1/approvals", "approvals:read", async (c) =>
    c.json(await file().approvals(checked(queries.approvals, c.req.query()))),
  );

  route("POST", "/api/v1/approvals/:id", "approvals:decide", async (c, caller) => {
    const decision = bodyAs(decideRequest, caller);
    const id = c.req.param("id") ?? "";
    const { decision: verdict, by } = decision;
    const said = { id, decision: verdict, by, plane: caller.plane, caller: caller.agentId };
    // Before it as well: a yes that is in force and in no audit is what must not be.
    await options.audit.event("approval-decision-asked", said);
    const decided = await file().decide(id, decision);
    await options.audit.event("approval-decided", said);
    return c.json(decided);
  });

  route("GET", "/api/v1/watchdog", "watchdog:read", async (c) =>
    c.json(await file().watchdog(checked(queries.watchdog, c.req.query()))),
  );
}
