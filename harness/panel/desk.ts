import { HarnessError } from "../base/errors.ts";
import type { CommandReport } from "../control/contract.ts";
import type { Deps } from "../protocol.ts";

const MAX_WAITING = 20;
/** How long a command waits for somebody who fetches it; what was not fetched then was not executed. */
const FETCH_MS = 10_000;

/** What a legacy agent fetches: the form of the original's queue. */
export interface DeskCommand {
  readonly id: string;
  readonly command_id: string;
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Commands of the panel for agents that hold the engine themselves: fetched by `wait`, answered by `report`. */
export interface Desk {
  /**
   * Hands a command over and waits for what came of it. @throws HarnessError `timeout`: not fetched, so not executed, or
   * (details.fetched) fetched and never reported, so that nobody knows; `limit-exceeded` when too many wait.
   */
  run(hash: string, command: Omit<DeskCommand, "id">, timeoutMs: number, signal: AbortSignal): Promise<CommandReport>;
  /** The next command for this deployment; null when none came within `timeoutMs`. Each is given out once. */
  take(hash: string, timeoutMs: number, signal: AbortSignal): Promise<DeskCommand | null>;
  /** @returns false when nobody waits for it, or it was given to another deployment. */
  report(hash: string, report: CommandReport): boolean;
}

interface Order {
  readonly hash: string;
  readonly command: DeskCommand;
  readonly fetched: () => void;
}

export function openDesk({ clock }: Pick<Deps, "clock">): Desk {
  const waiting: Order[] = [];
  const out = new Map<string, { readonly hash: string; readonly settle: (report: CommandReport) => void }>();
  const bells = new Set<() => void>();

  const next = (hash: string): DeskCommand | null => {
    const index = waiting.findIndex((order) => order.hash === hash);
    const [order] = index === -1 ? [] : waiting.splice(index, 1);
    order?.fetched();
    return order?.command ?? null;
  };

  /** Resolves when a command comes, the time is up, or the signal aborts. */
  const rung = async (ms: number, signal: AbortSignal): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const over = new AbortController();
    bells.add(resolve);
    try {
      await Promise.race([promise, clock.sleep(ms, AbortSignal.any([signal, over.signal])).catch(() => {})]);
    } finally {
      bells.delete(resolve);
      over.abort(new Error("no longer waited for"));
    }
  };

  return {
    run: async (hash, { command_id, name, params }, timeoutMs, signal) => {
      if (waiting.length >= MAX_WAITING)
        throw new HarnessError("limit-exceeded", "too many commands wait for the agent; try again later");
      const command = { id: command_id, command_id, name, params };
      const fetched = Promise.withResolvers<void>();
      const reported = Promise.withResolvers<CommandReport>();
      const order = { hash, command, fetched: () => fetched.resolve() };
      waiting.push(order);
      out.set(command_id, { hash, settle: reported.resolve });
      const over = new AbortController();
      const inner = AbortSignal.any([signal, over.signal]);
      try {
        for (const ring of [...bells]) ring();
        const late = Symbol("late");
        const after = (ms: number) => clock.sleep(ms, inner).then(() => late);
        if ((await Promise.race([fetched.promise, after(FETCH_MS)])) === late)
          throw new HarnessError("timeout", `the agent did not fetch ${name}: it was not executed`);
        const report = await Promise.race([reported.promise, after(timeoutMs)]);
        if (typeof report === "symbol")
          throw new HarnessError("timeout", `the agent fetched ${name} and never said what came of it`, {
            details: { fetched: true },
          });
        return report;
      } finally {
        over.abort(new Error("no longer waited for"));
        if (waiting.includes(order)) waiting.splice(waiting.indexOf(order), 1);
        out.delete(command_id);
      }
    },
    take: async (hash, timeoutMs, signal) => {
      const endsAt = clock.monotonic() + timeoutMs;
      for (;;) {
        const command = signal.aborted ? null : next(hash);
        const leftMs = endsAt - clock.monotonic();
        if (command !== null || leftMs <= 0 || signal.aborted) return command;
        await rung(leftMs, signal);
      }
    },
    report: (hash, report) => {
      const order = out.get(report.command_id);
      if (order === undefined || order.hash !== hash) return false;
      order.settle(report);
      return true;
    },
  };
}
