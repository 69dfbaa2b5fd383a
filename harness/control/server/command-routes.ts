import { reportRequest, type CommandReport } from "../contract.ts";
import type { AuditEntry } from "../audit/types.ts";
import { ApiError } from "./api-error.ts";
import type { AddRoute } from "./signed-route.ts";
import { entryOf, type AskedCommand } from "./command-runner.ts";
import type { ServerCore } from "./core.ts";
import type { Caller } from "./gate.ts";
import { bodyAs, checked, commandIn } from "./parse-command.ts";
import { checkMode } from "./permit.ts";
import { queries } from "./routes.ts";

/** Of one plane's refusals for their rate, one a second is put into the audit; it says how many there were. */
const RATE_LINES_EVERY_MS = 1_000;

export function commandRoutes(core: ServerCore, route: AddRoute): void {
  const { runner, queued, pollers, options, limits } = core;
  const refusals = new Refusals(core);

  route("POST", "/api/v1/commands/execute", "command", async (c, caller, gone) => {
    const report = await refusals.watch(caller, "execute", (asked) => runner.execute(asked, gone));
    return c.json(report);
  });

  route("POST", "/api/v1/commands/enqueue", "command", async (c, caller) => {
    const { commandId } = await refusals.watch(caller, "enqueue", async (asked) => {
      if (!caller.scopes.includes("queue:enqueue"))
        throw new ApiError("scope-missing", `this key of ${caller.plane} may not: queue:enqueue`);
      return queued.enqueue(asked);
    });
    return c.json({ queued: true, command_id: commandId }, 202);
  });

  route("GET", "/api/v1/commands/wait/:hash", "queue:work", async (c, caller, gone) => {
    if (c.req.param("hash") !== options.deploymentHash) throw new ApiError("not-found", "no such deployment here");
    const { timeout } = checked(queries.wait, c.req.query());
    const waitMs = Math.min(timeout * 1_000, limits.waitMs);
    const until = AbortSignal.any([gone, core.ending]);
    const row = await pollers.next(caller.plane, caller.agentId, waitMs, until);
    if (row === null) return c.body(null, 204);
    const { commandId, name, plane, request } = row;
    const { params } = request as { readonly params: unknown };
    return c.json({ id: commandId, command_id: commandId, name, params, plane });
  });

  route("POST", "/api/v1/commands/report", "queue:work", async (c, caller) => {
    const said = bodyAs(reportRequest, caller);
    await pollers.report(caller.plane, caller.agentId, said);
    return c.json({ accepted: true });
  });

  route("GET", "/api/v1/commands/:id", "containers:read", async (c, caller) => {
    await pollers.giveUp();
    const row = core.parts.queue.byId(caller.plane, c.req.param("id") ?? "");
    if (row === null) throw new ApiError("not-found", "no such command of this plane is on disk");
    const open: CommandReport = {
      command_id: row.commandId,
      status: row.state === "queued" ? "queued" : "running",
      result: null,
      error: null,
      error_code: null,
      completed_at: null,
      executed_by: null,
    };
    return c.json(runner.reportOf(row) ?? open);
  });
}

/** Sees to it that every refused command of a known caller is in the audit. */
class Refusals {
  readonly #core: ServerCore;
  readonly #rated = new Map<string, { atMs: number; others: number }>();

  constructor(core: ServerCore) {
    this.#core = core;
  }

  /** Reads the command, checks scope, rate and mode, and runs it. @throws ApiError */
  async watch<T>(caller: Caller, endpoint: string, run: (asked: AskedCommand) => Promise<T>): Promise<T> {
    let asked: AskedCommand | null = null;
    try {
      const found = this.#read(caller, endpoint);
      asked = found.asked;
      this.#core.gate.allow(caller, found.scope);
      checkMode(this.#core.options, asked);
      return await run(asked);
    } catch (error) {
      if (error instanceof ApiError) await this.#note(caller, asked, error);
      throw error;
    }
  }

  /** What cannot be read uses the quota up too. */
  #read(caller: Caller, endpoint: string): ReturnType<typeof commandIn> {
    try {
      return commandIn(caller, endpoint);
    } catch (error) {
      const waitMs = this.#core.gate.rate(caller.plane);
      if (waitMs > 0)
        throw new ApiError("rate-limited", `too many requests of ${caller.plane}`, { retry_after_ms: waitMs });
      throw error;
    }
  }

  async #note(caller: Caller, asked: AskedCommand | null, error: ApiError): Promise<void> {
    const { metrics, runner } = this.#core;
    metrics.refused(caller.plane, asked?.name ?? "unreadable");
    // Without the audit nothing runs, and of that very fact there can be no line.
    if (error.code === "audit-failed") return;
    const others = error.code === "rate-limited" ? this.#others(caller.plane) : 0;
    if (others === null) return;
    const told = others === 0 ? error : new ApiError(error.code, `${error.message} (and ${others} before it)`);
    await runner.refused(asked === null ? unreadable(caller) : entryOf(asked), told);
  }

  /** How many were left out before this one; null = leave this one out. */
  #others(plane: string): number | null {
    const now = this.#core.deps.clock.monotonic();
    const last = this.#rated.get(plane);
    if (last !== undefined && now - last.atMs < RATE_LINES_EVERY_MS) {
      last.others += 1;
      return null;
    }
    this.#rated.set(plane, { atMs: now, others: 0 });
    return last?.others ?? 0;
  }
}

function unreadable({ plane, agentId, bodyDigest }: Caller): AuditEntry {
  return {
    plane,
    caller: agentId,
    command: "unreadable",
    target: null,
    effect: null,
    incident: null,
    commandId: null,
    params: { body_sha256: bodyDigest },
  };
}
