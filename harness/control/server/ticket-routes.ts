import type { Approval, StoredLogEntry, Tickets } from "../../../tickets/index.ts";
import { APPROVAL_STATUSES } from "../../../tickets/index.ts";
import { ApiError } from "./api-error.ts";
import type { AddRoute } from "./app.ts";
import type { ServerCore } from "./core.ts";
import { bodyAs, checked } from "./parse-command.ts";
import { decideRequest, queries } from "./routes.ts";

/** Steps of a session wake nobody (an agent writes many), so who waits for them looks this often. */
const ENTRIES_EVERY_MS = 100;

/** What people see of the ticket file. */
export function ticketRoutes(core: ServerCore, route: AddRoute): void {
  const { options, deps } = core;
  const file = (): Tickets => {
    if (options.tickets === null) throw new ApiError("not-found", "this server has no ticket file");
    return options.tickets;
  };

  route("GET", "/api/v1/tickets", "tickets:read", async (c) => {
    const { limit } = checked(queries.list, c.req.query());
    return c.json({ tickets: await file().list({ limit }) });
  });

  route("GET", "/api/v1/sessions", "sessions:read", async (c) => {
    const { limit, ticket } = checked(queries.sessions, c.req.query());
    return c.json({
      sessions: await file().listSessions({ limit, ...(ticket === undefined ? {} : { ticketId: ticket }) }),
    });
  });

  route("GET", "/api/v1/sessions/:id/entries", "sessions:read", async (c, _, gone) => {
    const { after, timeout } = checked(queries.entries, c.req.query());
    const until = AbortSignal.any([gone, core.ending]);
    const deadline = deps.clock.monotonic() + timeout * 1_000;
    const id = c.req.param("id") ?? "";
    let entries: readonly StoredLogEntry[] = await file().logEntries(id, after);
    while (entries.length === 0 && deps.clock.monotonic() < deadline && !until.aborted) {
      await deps.clock.sleep(ENTRIES_EVERY_MS, until).catch(() => {});
      entries = await file().logEntries(id, after);
    }
    return c.json({ entries });
  });

  route("GET", "/api/v1/approvals", "approvals:read", async (c) => {
    const { limit, status } = checked(queries.approvals, c.req.query());
    const known = APPROVAL_STATUSES.find((each) => each === status);
    if (status !== undefined && known === undefined) throw new ApiError("malformed", `no such status: ${status}`);
    const approvals: readonly Approval[] = await file().approvals.list({
      limit,
      ...(known === undefined ? {} : { status: known }),
    });
    return c.json({ approvals });
  });

  route("POST", "/api/v1/approvals/:id", "approvals:decide", async (c, caller) => {
    const { decision, by, reason, call_digest: callDigest } = bodyAs(decideRequest, caller);
    const id = c.req.param("id") ?? "";
    const approval = await file().approvals.decide(id, {
      verdict: decision,
      by,
      ...(reason === undefined ? {} : { reason }),
      ...(callDigest === undefined ? {} : { callDigest }),
    });
    await options.audit.event("approval-decided", { id, decision, by, plane: caller.plane, caller: caller.agentId });
    return c.json({ approval });
  });

  route("GET", "/api/v1/watchdog", "watchdog:read", async (c) => {
    const { after, limit } = checked(queries.watchdog, c.req.query());
    const { watchdog } = file();
    const deployment = options.deploymentHash;
    const [targets, events] = await Promise.all([
      watchdog.targets(deployment),
      watchdog.events({ deployment, afterId: after, limit }),
    ]);
    return c.json({ targets, events });
  });
}
