import type { WatchdogLog } from "../../../tickets/index.ts";
import type { PartStatus } from "../registration.ts";

/** As many decisions as a beat tells the panel. */
const TOLD_EVENTS = 20;

/**
 * What the watchdog tells the panel at each beat, directly: the panel then knows of the compose-agent's state also
 * while the compose-agent cannot tell of it.
 */
export async function watchdogStatus(log: WatchdogLog, deployment: string): Promise<PartStatus> {
  const [targets, events] = await Promise.all([
    log.targets(deployment),
    log.events({ deployment, limit: TOLD_EVENTS }),
  ]);
  const sentences = targets.filter(({ gaveUp }) => gaveUp).map(({ component }) => `gave up on ${component}`);
  return {
    doing: sentences.length === 0 ? "watches" : sentences.join("; ").slice(0, 300),
    targets: targets.map(({ component, state, reason }) => ({
      target: component,
      state,
      reason: reason.slice(0, 500),
    })),
    events: events.map(({ at, component, kind, reason }) => ({
      at,
      target: component,
      kind,
      text: reason.slice(0, 1_000),
    })),
  };
}
