import { errorText, HarnessError } from "../../base/errors.ts";
import { isoTime } from "../../base/clock.ts";
import type { Deps } from "../../protocol.ts";
import type { ControlClient, DeliveredCommand } from "../client/types.ts";
import { reportRequest, type ReportRequest } from "../contract.ts";
import type { TokenCache, TokenRecord } from "../tokens/types.ts";
import { answerOrder, type AnswerParts } from "./answer.ts";
import { carryOut, endLeftRunning, type CarryOutParts } from "./carry-out.ts";
import { orderKey, readOrder, type Order } from "./order.ts";

const WAIT_MS = 25_000;
const MAX_PAUSE_MS = 30_000;
/** As many at once; a question may wait for the next step of a session for a while. */
const MAX_HELD = 16;
/** What was done is told so long to a panel that does not answer; it asks again by itself. */
const TELL_MS = { command: 10 * 60_000, ask: 8_000 } as const;
/** What runs when the agent ends may still end, and be told. */
const LAST_MS = 4_000;

export interface LegacyPlane extends CarryOutParts, AnswerParts {
  readonly client: Pick<ControlClient, "wait" | "report">;
  readonly tokens: Pick<TokenCache, "lookup" | "state">;
}

type OrderDeps = Pick<Deps, "clock" | "log" | "random">;

/**
 * Legacy mode: fetches at the panel what people want, does or answers it, and reports. Until the signal aborts; a panel
 * that is down or slow costs nothing but the next attempt. Never throws.
 */
export async function serveOrders(plane: LegacyPlane, deps: OrderDeps, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  const life = new AbortController();
  const held = new Map<string, Promise<void>>();
  const left = endLeftRunning(plane, deps, signal).catch((error: unknown) => {
    if (!signal.aborted) log.error("panel.not-recovered", { why: errorText(error) });
  });
  const pause = pauses(deps, signal);
  while (!signal.aborted) {
    try {
      if (held.size >= MAX_HELD) await Promise.race(held.values());
      const got = await plane.client.wait(WAIT_MS, signal, [...held.keys()]);
      pause.reset();
      if (got === null || held.has(got.command_id)) continue;
      // What an earlier start had begun is looked into first: it may come again.
      const run = left.then(() => handle(got, plane, deps, life.signal)).finally(() => held.delete(got.command_id));
      held.set(got.command_id, run);
    } catch (error) {
      if (signal.aborted) break;
      if (pause.failures === 0) log.warn("panel.no-commands", { why: errorText(error) });
      await pause.next();
    }
  }
  const over = new AbortController();
  const ended = Promise.allSettled([...held.values(), left]).then(() => over.abort(new Error("all has ended")));
  await clock.sleep(LAST_MS, over.signal).catch(() => {});
  life.abort(new HarnessError("interrupted", "the agent ended in its middle"));
  await ended;
}

/** Never throws. */
async function handle(got: DeliveredCommand, plane: LegacyPlane, deps: OrderDeps, signal: AbortSignal): Promise<void> {
  try {
    const opened = await open(got, plane, signal);
    if (opened === null) {
      deps.log.warn("panel.order-refused", { id: got.command_id });
      return;
    }
    const { order, token } = opened;
    const report =
      order.kind === "command"
        ? reportRequest.parse(await carryOut(order, token.scopes, plane, deps, signal))
        : await answered(order, token.scopes, plane, deps, signal);
    await tell(report, order, plane, deps, signal);
  } catch (error) {
    if (!signal.aborted) deps.log.error("panel.order-failed", { id: got.command_id, why: errorText(error) });
  }
}

/** Null for what the panel did not seal for us: nothing of it is done, and whoever gave it learns nothing. */
async function open(
  { command_id: id, order: text = "" }: DeliveredCommand,
  { tokens, agentId, deploymentHash }: LegacyPlane,
  signal: AbortSignal,
): Promise<{ readonly order: Order; readonly token: TokenRecord } | null> {
  const key = orderKey(text);
  const token = key === null ? null : await tokens.lookup("status_panel", key, signal);
  if (token === null) return null;
  const read = readOrder(text, token.token, { to: agentId, deploymentHash });
  return read.ok && read.order.id === id ? { order: read.order, token } : null;
}

async function answered(
  order: Order,
  scopes: readonly string[],
  plane: LegacyPlane,
  { clock }: OrderDeps,
  signal: AbortSignal,
): Promise<ReportRequest> {
  const began = clock.monotonic();
  const told = { command_id: order.id, executed_by: "status_panel" } as const;
  try {
    const data = await answerOrder(order, scopes, plane, { clock }, signal);
    const result = {
      operation: order.name,
      container: null,
      duration_secs: (clock.monotonic() - began) / 1_000,
      exit_code: 0,
      stdout: "",
      data,
    };
    return { ...told, status: "success", result, completed_at: isoTime(clock.now()) };
  } catch (error) {
    const code = error instanceof HarnessError ? error.code : "internal";
    const why = errorText(error).slice(0, 1_000);
    return { ...told, status: "failed", error: why, error_code: code, completed_at: isoTime(clock.now()) };
  }
}

/** Until the panel has it, does not want it, or too long. */
async function tell(
  report: ReportRequest,
  { kind }: Order,
  { client }: LegacyPlane,
  deps: OrderDeps,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = deps;
  const until = clock.monotonic() + TELL_MS[kind];
  const pause = pauses(deps, signal);
  for (;;) {
    try {
      await client.report(report, signal);
      return;
    } catch (error) {
      const unwanted = error instanceof HarnessError && error.code === "not-found";
      if (unwanted || signal.aborted) return;
      if (error instanceof HarnessError && error.code === "usage") {
        // Longer than the panel takes, or not what it reads: it is told that much.
        const why = `the answer could not be taken: ${errorText(error)}`;
        await client.report({ ...report, status: "failed", result: undefined, error: why }, signal);
        return;
      }
      if (clock.monotonic() > until) {
        log.warn("panel.not-told", { id: report.command_id, status: report.status, why: errorText(error) });
        return;
      }
    }
    await pause.next();
  }
}

function pauses({ clock, random }: OrderDeps, signal: AbortSignal) {
  let failures = 0;
  return {
    get failures() {
      return failures;
    },
    reset: () => void (failures = 0),
    next: async () => {
      const ms = Math.min(MAX_PAUSE_MS, 500 * 2 ** Math.min(failures, 6)) * (1 + random.next() / 10);
      failures += 1;
      await clock.sleep(ms, signal).catch(() => {});
    },
  };
}
