import { HarnessError } from "../base/errors.ts";
import type { Deps, InstanceId, Scenario } from "../protocol.ts";
import type { Tickets } from "../../tickets/index.ts";
import { describePredicate } from "./hypothesis.ts";
import type { OperatorRun } from "./operator-run.ts";
import type { Sampler } from "./sampler.ts";

/** The steady state must hold this long before anything is broken. */
export const STEADY_FOR_MS = 2_000;
const TICKETS_AGAIN_MS = 250;
const STOP_GRACE_MS = 5_000;

interface Steady {
  readonly scenario: Scenario;
  readonly instance: InstanceId;
  readonly tickets: Pick<Tickets, "unresolved">;
  readonly sampler: Pick<Sampler, "held" | "last">;
  readonly clock: Deps["clock"];
}

/**
 * The hypothesis holds, and no ticket is open: an operator has one session, and it must be about what the trial does.
 *
 * @param deadline on the monotonic clock.
 * @throws HarnessError naming what is missing; the trial is void then.
 */
async function reachSteadyState(watched: Steady, deadline: number, signal: AbortSignal): Promise<void> {
  const { scenario, sampler, clock } = watched;
  for (;;) {
    const left = deadline - clock.monotonic();
    const held = left > 0 && (await sampler.held({ forMs: STEADY_FOR_MS, withinMs: left }, signal));
    if (held && (await openTickets(watched)).length === 0) return;
    if (!held) break;
    await clock.sleep(TICKETS_AGAIN_MS, signal);
  }
  const missing = scenario.hypothesis.filter((_, index) => sampler.last?.held[index] !== true).map(describePredicate);
  const open = await openTickets(watched);
  throw new HarnessError(
    "subject-failed",
    `steady state not reached within ${scenario.limits.steadyMs / 1000} s: ${[...missing, ...open].join(", ")}`,
  );
}

/**
 * An operator on a cluster that was well until it was there. Whoever waits works the first ticket that comes; one that
 * its own start brought about, on a small machine, would take its only session: then it is started once more, on a
 * cluster that is well again.
 *
 * @param launch null = nobody takes part; the steady state is waited for all the same.
 * @throws HarnessError when that does not come to pass in the scenario's time; the trial is void then.
 */
export async function operatorOnSteadyState(
  watched: Steady,
  launch: () => Promise<OperatorRun> | null,
  again: (why: string) => void,
  signal: AbortSignal,
): Promise<OperatorRun | null> {
  const deadline = watched.clock.monotonic() + watched.scenario.limits.steadyMs;
  for (;;) {
    await reachSteadyState(watched, deadline, signal);
    await using held = new AsyncDisposableStack();
    const operator = held.use(await launch());
    if (operator === null) return null;
    const came = await openTickets(watched);
    if (came.length === 0) {
      held.move();
      return operator;
    }
    again(`while the operator started, ${came.join(", ")}: it is started again`);
    await operator.stop(STOP_GRACE_MS);
  }
}

const openTickets = async ({ tickets, instance }: Steady): Promise<string[]> =>
  (await tickets.unresolved(instance)).map(({ id, message }) => `ticket #${id} is open (${message})`);
