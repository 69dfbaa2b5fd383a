import { z } from "zod";
import { errorText, HarnessError } from "../../base/errors.ts";
import { withDeadline } from "../../base/deadline.ts";
import type { Deps, Engine, SafetyMode } from "../../protocol.ts";
import type { Tickets } from "../../../tickets/index.ts";
import type { Scope } from "../planes.ts";
import { decideRequest, ticketAnswers, ticketQueries } from "../ticket-answers.ts";
import type { TokenCache } from "../tokens/types.ts";
import { LEGACY_COMMANDS } from "./carry-out.ts";
import type { Order } from "./order.ts";

const PROBE_MS = 3_000;

/** Commands, and what else the panel may ask of an agent in legacy mode. */
export const LEGACY_FEATURES: readonly string[] = [...LEGACY_COMMANDS, "tickets", "sessions", "approvals", "watchdog"];

export interface AnswerParts {
  readonly engine: Engine;
  readonly tickets: Tickets;
  readonly tokens: Pick<TokenCache, "state">;
  readonly deploymentHash: string;
  readonly version: string;
  readonly mode: SafetyMode;
}

const question = z.object({ target: z.string().max(2_000), body: z.unknown().optional() });

interface Question {
  readonly method: string;
  readonly path: RegExp;
  /** Null = anybody who may ask at all. */
  readonly scope: Scope | null;
  answer(asked: { readonly id: string; readonly query: unknown; readonly body: unknown }): Promise<unknown>;
}

/**
 * What the control API would say to the panel, as far as an agent without one can: what is in its ticket file, and how
 * it is itself. Same targets, same answers.
 *
 * @param scopes of the token that sealed the order.
 * @throws HarnessError `not-found` for what is not answered here, `not-supported` for what the key may not, `usage` for
 *   what cannot be read; what the ticket file throws.
 */
export async function answerOrder(
  { name: method, params }: Pick<Order, "name" | "params">,
  scopes: readonly string[],
  parts: AnswerParts,
  deps: Pick<Deps, "clock">,
  signal: AbortSignal,
): Promise<unknown> {
  const { target, body } = read(question, params);
  const url = new URL(target, "http://agent");
  for (const { path, scope, answer, ...its } of questions(parts, deps, signal)) {
    const match = its.method === method ? path.exec(url.pathname) : null;
    if (match === null) continue;
    if (scope !== null && !scopes.includes(scope))
      throw new HarnessError("not-supported", `the panel's key may not: ${scope}`);
    const query = Object.fromEntries(url.searchParams);
    return await answer({ id: decodeURIComponent(match[1] ?? ""), query, body });
  }
  throw new HarnessError("not-found", `an agent in legacy mode does not answer ${method} ${url.pathname}`);
}

function questions(parts: AnswerParts, deps: Pick<Deps, "clock">, signal: AbortSignal): readonly Question[] {
  const file = ticketAnswers(parts.tickets, parts.deploymentHash, deps.clock);
  return [
    get(/^\/health$/, null, () => health(parts, deps, signal)),
    get(/^\/capabilities$/, null, async () => ({
      compose_agent: false,
      control_plane: "status_panel",
      version: parts.version,
      features: [parts.engine.kind, ...LEGACY_FEATURES],
    })),
    get(/^\/metrics$/, null, () => metrics(parts)),
    get(/^\/api\/v1\/tickets$/, "tickets:read", ({ query }) => file.tickets(read(ticketQueries.list, query))),
    get(/^\/api\/v1\/sessions$/, "sessions:read", ({ query }) => file.sessions(read(ticketQueries.sessions, query))),
    get(/^\/api\/v1\/sessions\/([^/]+)\/entries$/, "sessions:read", ({ id, query }) =>
      file.entries(id, read(ticketQueries.entries, query), signal),
    ),
    get(/^\/api\/v1\/approvals$/, "approvals:read", ({ query }) =>
      file.approvals(read(ticketQueries.approvals, query)),
    ),
    get(/^\/api\/v1\/watchdog$/, "watchdog:read", ({ query }) => file.watchdog(read(ticketQueries.watchdog, query))),
    {
      method: "POST",
      path: /^\/api\/v1\/approvals\/([^/]+)$/,
      scope: "approvals:decide",
      answer: ({ id, body }) => file.decide(id, read(decideRequest, body)),
    },
  ];
}

function get(path: RegExp, scope: Scope | null, answer: Question["answer"]): Question {
  return { method: "GET", path, scope, answer };
}

/** The keys of the control API's `/health`, as far as there is something to say. */
async function health(
  { engine, tickets, tokens, version, mode }: AnswerParts,
  { clock }: Pick<Deps, "clock">,
  signal: AbortSignal,
) {
  const limit = { ms: PROBE_MS, what: "the engine", signal };
  const engineWhy = await withDeadline(clock, limit, (inner) => engine.list(inner)).then(
    () => null,
    (error: unknown) => errorText(error),
  );
  const totals = await tickets.people.totals();
  const [last] = await tickets.people.list(1);
  const count = Object.values(totals).reduce((sum, one) => sum + one, 0);
  const { ageSeconds, lastRefreshOk, lastFailure } = tokens.state("status_panel");
  const token = { token_age_seconds: ageSeconds, last_refresh_ok: lastRefreshOk };
  return {
    status: engineWhy === null && lastFailure === null ? "ok" : "degraded",
    ...token,
    command_metrics: {
      status_panel_count: count,
      compose_agent_count: 0,
      total_count: count,
      last_control_plane: last === undefined ? null : "status_panel",
      last_command_timestamp_ms: last?.at ?? null,
    },
    planes: { status_panel: token },
    engine: { ok: engineWhy === null, why: engineWhy },
    tickets: { ok: true, why: null },
    mode,
    version,
    control_plane: "status_panel",
  };
}

/** One line for each outcome, in the form of the control API's `/metrics`. */
async function metrics({ tickets }: AnswerParts): Promise<string> {
  const { running: _, ...over } = await tickets.people.totals();
  return Object.entries(over)
    .map(([outcome, count]) => `control_commands_total{plane="status_panel",outcome="${outcome}"} ${count}\n`)
    .join("");
}

function read<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value ?? {});
  if (!parsed.success) throw new HarnessError("usage", z.prettifyError(parsed.error).slice(0, 1_000));
  return parsed.data;
}
