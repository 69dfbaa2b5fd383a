import { withDeadline } from "../../base/deadline.ts";
import { errorText, HarnessError } from "../../base/errors.ts";
import type { Deps, Engine } from "../../protocol.ts";
import type { PeopleCommand, Tickets } from "../../../tickets/index.ts";
import { commandReport, commandSpec, isCommand, type CommandName, type CommandReport } from "../contract.ts";
import { failed, notBegun, notKnown, succeeded, targetOf, type Reported } from "../server/command-report.ts";
import { lookUp, perform, type PerformContext } from "../server/perform.ts";
import { isStale, type Order } from "./order.ts";

/** What people may have done by an agent that holds the engine itself. */
export const LEGACY_COMMANDS = [
  "start",
  "restart",
  "stop",
  "pause",
  "unpause",
  "ticket_hold",
  "ticket_unhold",
] as const satisfies readonly CommandName[];

export interface CarryOutParts {
  readonly engine: Engine;
  readonly tickets: Tickets;
  readonly agentId: string;
}

type CarryOutDeps = Pick<Deps, "clock" | "log">;

/**
 * Does what an order says, once: the intent is in the ticket file before the act, what came of it afterwards, and an
 * order that comes again is answered from there. If it cannot be written, nothing is done. Never throws.
 *
 * @param scopes of the token that sealed the order.
 */
export async function carryOut(
  order: Order,
  scopes: readonly string[],
  parts: CarryOutParts,
  deps: CarryOutDeps,
  signal: AbortSignal,
): Promise<CommandReport> {
  const { clock, log } = deps;
  const { id, name } = order;
  const { people } = parts.tickets;
  if (!isLegacyCommand(name)) return unreadable(order, `an agent in legacy mode cannot ${name}`, deps);
  const spec = commandSpec(name);
  const params = spec.params.safeParse(order.params);
  if (!params.success) return unreadable(order, "these parameters make no sense", deps);
  const what: Reported = { commandId: id, name, params: params.data, executedBy: "status_panel", clock };
  const scope = spec.scope(params.data);
  if (!scopes.includes(scope)) return notBegun(what, `the panel's key may not: ${scope}`, "scope-missing");
  try {
    const known = await people.find(id);
    if (known !== null) return reportOf(known, what);
    if (isStale(order, clock.now()))
      return notBegun(what, "it reached the agent too late, and was not executed", "timeout");
    const target = targetOf(params.data);
    const intent = { id, agent: parts.agentId, by: order.by, name, target, params: params.data, at: clock.now() };
    const before = await people.begin(intent);
    if (before !== null) return reportOf(before, what);
  } catch (error) {
    log.error("panel.not-noted", { command: name, id, why: errorText(error) });
    return notBegun(what, `it could not be noted, so it was not executed: ${errorText(error)}`, "unavailable");
  }
  log.info("panel.command-begun", { command: name, id, params: params.data });
  const report = await act(what, spec.timeoutMs(params.data), parts, deps, signal);
  log.info("panel.command-ended", { command: name, id, status: report.status, why: report.error });
  await noted(report, parts, deps);
  return report;
}

async function act(
  what: Reported,
  timeoutMs: number,
  { engine, tickets }: CarryOutParts,
  { clock }: CarryOutDeps,
  signal: AbortSignal,
): Promise<CommandReport> {
  const { name, params } = what;
  const context: PerformContext = { engine, tickets, stateDir: "/" };
  const began = clock.monotonic();
  const limit = { ms: timeoutMs, what: `${name} ${targetOf(params) ?? ""}`.trim(), signal };
  try {
    const performed = await withDeadline(clock, limit, (inner) => perform(name, params, context, inner));
    return succeeded(what, performed, clock.monotonic() - began);
  } catch (error) {
    return failed(what, error, "write", clock.monotonic() - began);
  }
}

/** What cannot be written down now stays open in the file, and is looked into at the next start. */
async function noted(report: CommandReport, { tickets }: CarryOutParts, { clock, log }: CarryOutDeps): Promise<void> {
  const { command_id: id, status } = report;
  const state = status === "success" || status === "failed" ? status : "unknown";
  await tickets.people.end(id, state, report, clock.now()).catch((error: unknown) => {
    log.error("panel.not-noted", { id, status, why: errorText(error) });
  });
}

/** After a start: what an earlier one had begun. It is looked at what came of it, and nothing is done again. */
export async function endLeftRunning(parts: CarryOutParts, deps: CarryOutDeps, signal: AbortSignal): Promise<void> {
  for (const row of await parts.tickets.people.running(parts.agentId)) {
    const { id, name } = row;
    if (!isLegacyCommand(name)) continue;
    const what: Reported = {
      commandId: id,
      name,
      params: row.params,
      executedBy: "status_panel",
      clock: deps.clock,
    };
    const report = await lookedInto(row, what, parts, signal).catch((error: unknown) =>
      notKnown(what, `the agent ended in its middle, and then: ${errorText(error)}`),
    );
    signal.throwIfAborted();
    deps.log.warn("panel.command-recovered", { command: name, id, status: report.status });
    await noted(report, parts, deps);
  }
}

async function lookedInto(
  { at }: PeopleCommand,
  what: Reported,
  { engine, tickets }: CarryOutParts,
  signal: AbortSignal,
): Promise<CommandReport> {
  const { name } = what;
  const params = commandSpec(name).params.parse(what.params) as { readonly component: never; readonly ticket: number };
  const found =
    name === "ticket_hold" || name === "ticket_unhold"
      ? (await tickets.get(params.ticket)).held === (name === "ticket_hold")
        ? "so"
        : "not-so"
      : name === "restart"
        ? await startedSince(params.component, at, engine, signal)
        : await lookUp(name, params, at, engine, signal);
  if (found === "so") return succeeded(what, { data: { looked_up: true } }, 0);
  if (found === "not-so") return notBegun(what, "the agent ended before it took effect", "interrupted");
  return notKnown(what, "the agent ended in its middle and nobody can say whether it took");
}

async function startedSince(component: never, at: number, engine: Engine, signal: AbortSignal) {
  const { status, startedAt } = await engine.inspect(component, signal);
  if (status !== "running") return "unclear";
  return (startedAt ?? 0) >= at ? "so" : "not-so";
}

function reportOf(row: PeopleCommand, what: Reported): CommandReport {
  const read = commandReport.safeParse(row.report);
  return read.success ? read.data : notKnown(what, "it was begun, and what came of it was never written down");
}

function unreadable({ id }: Order, why: string, { clock }: CarryOutDeps): CommandReport {
  const what: Reported = { commandId: id, name: "health", params: {}, executedBy: "status_panel", clock };
  return { ...notBegun(what, why, new HarnessError("not-supported", why).code), result: null };
}

function isLegacyCommand(name: string): name is (typeof LEGACY_COMMANDS)[number] {
  return isCommand(name) && (LEGACY_COMMANDS as readonly CommandName[]).includes(name);
}
