import { HarnessError } from "../base/errors.ts";
import type { CommandReport } from "../control/contract.ts";
import type { Deps } from "../protocol.ts";

const MAX_WAITING = 40;
/** How long something waits for its agent; what was not fetched then was not executed. */
const FETCH_MS = 10_000;
/** What was fetched and not answered in time is still taken when it is told later, and told again to who lost it. */
const KEPT_MS = 10 * 60_000;

/** What a legacy agent fetches: the form of the original's queue, and the order by which it knows that we sent it. */
export interface DeskCommand {
  readonly command_id: string;
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly order: string;
}

export interface RunOptions {
  /** From now until it has been answered. */
  readonly timeoutMs: number;
  /** Told what came of it when that is heard after the time; without it nobody wants to know any more. */
  late?(report: CommandReport): void;
}

/**
 * What people want of agents that hold the engine themselves: fetched by `wait`, answered by `report`. An agent says
 * with each `wait` what it has in hand; what it was given and neither has nor has answered was lost, by a connection or
 * with the agent's last start, and is given to it again: agents do nothing twice.
 */
export interface Desk {
  /**
   * Hands a command over and waits for what came of it. @throws HarnessError `timeout`: not fetched, so not executed, or
   * (details.fetched) fetched and not answered, so that nobody knows; `limit-exceeded` when too many wait.
   */
  run(agentId: string, command: DeskCommand, options: RunOptions, signal: AbortSignal): Promise<CommandReport>;
  /** The next for this agent; null when none came within `timeoutMs`, or when the same agent asks again meanwhile. */
  take(
    agentId: string,
    holding: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<DeskCommand | null>;
  /** @returns false when nobody waits for it, or it was given to another agent. */
  report(agentId: string, report: CommandReport): boolean;
  /** True while somebody has something in hand. */
  readonly busy: boolean;
}

interface Order {
  readonly agentId: string;
  readonly command: DeskCommand;
  state: "waiting" | "out";
  readonly fetched: () => void;
  settle(report: CommandReport): void;
}

export function openDesk({ clock }: Pick<Deps, "clock">): Desk {
  const orders = new Map<string, Order>();
  const bells = new Set<() => void>();
  const taking = new Map<string, AbortController>();
  const ring = (): void => [...bells].forEach((bell) => bell());

  const next = (agentId: string): DeskCommand | null => {
    for (const order of orders.values()) {
      if (order.agentId !== agentId || order.state === "out") continue;
      order.state = "out";
      order.fetched();
      return order.command;
    }
    return null;
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

  /** Kept for whoever tells late. Never throws. */
  const keep = async (order: Order, late: (report: CommandReport) => void, signal: AbortSignal): Promise<void> => {
    const told = new AbortController();
    order.settle = (report) => {
      told.abort(new Error("told"));
      late(report);
    };
    await clock.sleep(KEPT_MS, AbortSignal.any([signal, told.signal])).catch(() => {});
    orders.delete(order.command.command_id);
  };

  return {
    run: async (agentId, command, { timeoutMs, late }, signal) => {
      signal.throwIfAborted();
      if ([...orders.values()].filter(({ state }) => state === "waiting").length >= MAX_WAITING)
        throw new HarnessError("limit-exceeded", "too many commands wait for the agent; try again later");
      const { command_id: id, name } = command;
      const fetched = Promise.withResolvers<void>();
      const reported = Promise.withResolvers<CommandReport>();
      const order: Order = {
        agentId,
        command,
        state: "waiting",
        fetched: () => fetched.resolve(),
        settle: reported.resolve,
      };
      orders.set(id, order);
      let kept = false;
      const over = new AbortController();
      const inner = AbortSignal.any([signal, over.signal]);
      try {
        ring();
        const lost = Symbol("late");
        const after = (ms: number) => clock.sleep(ms, inner).then(() => lost);
        if ((await Promise.race([fetched.promise, after(Math.min(FETCH_MS, timeoutMs))])) === lost)
          throw new HarnessError("timeout", `the agent did not fetch ${name}: it was not executed`);
        const report = await Promise.race([reported.promise, after(timeoutMs)]);
        if (typeof report !== "symbol") return report;
        kept = late !== undefined;
        if (late !== undefined) void keep(order, late, signal);
        throw new HarnessError("timeout", `the agent fetched ${name} and has not said what came of it`, {
          details: { fetched: true },
        });
      } finally {
        over.abort(new Error("no longer waited for"));
        if (!kept) orders.delete(id);
      }
    },
    take: async (agentId, holding, timeoutMs, signal) => {
      taking.get(agentId)?.abort(new Error("it asks again"));
      const mine = new AbortController();
      taking.set(agentId, mine);
      const until = AbortSignal.any([signal, mine.signal]);
      for (const order of orders.values())
        if (order.agentId === agentId && !holding.includes(order.command.command_id)) order.state = "waiting";
      const endsAt = clock.monotonic() + timeoutMs;
      try {
        for (;;) {
          const command = until.aborted ? null : next(agentId);
          const leftMs = endsAt - clock.monotonic();
          if (command !== null || leftMs <= 0 || until.aborted) return command;
          await rung(leftMs, until);
        }
      } finally {
        if (taking.get(agentId) === mine) taking.delete(agentId);
      }
    },
    report: (agentId, report) => {
      const order = orders.get(report.command_id);
      if (order === undefined || order.agentId !== agentId) return false;
      orders.delete(report.command_id);
      order.settle(report);
      return true;
    },
    get busy() {
      return [...orders.values()].some(({ state }) => state === "out");
    },
  };
}
