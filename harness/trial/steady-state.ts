import { HarnessError } from "../base/errors.ts";
import type { Deps, InstanceId, Scenario } from "../protocol.ts";
import type { Tickets } from "../../tickets/index.ts";
import { describePredicate } from "./hypothesis.ts";
import type { Sampler } from "./sampler.ts";

/** The steady state must hold this long before anything is broken. */
export const STEADY_FOR_MS = 2_000;
const TICKETS_AGAIN_MS = 250;

interface Watched {
  readonly instance: InstanceId;
  readonly tickets: Tickets;
}

/**
 * The hypothesis holds, and no ticket is open: an operator has one session, and it must be about what the trial does.
 * @throws HarnessError naming what is missing; the trial is void then.
 */
export async function reachSteadyState(
  {
    scenario,
    instance,
    tickets,
    sampler,
    clock,
  }: Watched & { readonly scenario: Scenario; readonly sampler: Sampler; readonly clock: Deps["clock"] },
  signal: AbortSignal,
): Promise<void> {
  const deadline = clock.monotonic() + scenario.limits.steadyMs;
  for (;;) {
    const left = deadline - clock.monotonic();
    const held = left > 0 && (await sampler.held({ forMs: STEADY_FOR_MS, withinMs: left }, signal));
    if (held && (await openTickets({ instance, tickets })).length === 0) return;
    if (!held) break;
    await clock.sleep(TICKETS_AGAIN_MS, signal);
  }
  const missing = scenario.hypothesis.filter((_, index) => sampler.last?.held[index] !== true).map(describePredicate);
  const open = await openTickets({ instance, tickets });
  throw new HarnessError(
    "subject-failed",
    `steady state not reached within ${scenario.limits.steadyMs / 1000} s: ${[...missing, ...open].join(", ")}`,
  );
}

/**
 * Once the operator is there, and just before the harm: it works whatever ticket there is, and one of before would take
 * its only session. @throws HarnessError naming the ticket; the trial is void then.
 */
export async function nothingCameMeanwhile(watched: Watched): Promise<void> {
  const open = await openTickets(watched);
  if (open.length === 0) return;
  throw new HarnessError(
    "subject-failed",
    `the steady state did not last until the operator was there: ${open.join(", ")}`,
  );
}

const openTickets = async ({ tickets, instance }: Watched): Promise<string[]> =>
  (await tickets.unresolved(instance)).map(({ id, message }) => `ticket #${id} is open (${message})`);
