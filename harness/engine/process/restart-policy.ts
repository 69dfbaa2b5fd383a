import { z } from "zod";
import type { ContainerState } from "../../protocol.ts";
import { EngineError } from "../../base/errors.ts";

export type RestartPolicy = ContainerState["restartPolicy"];

/** What the engine remembers between two exits of one container. */
export interface RestartMemory {
  /** The last back-off; 0 = none yet. */
  readonly delayMs: number;
  readonly count: number;
}

export interface Exit {
  readonly exitCode: number;
  readonly ranMs: number;
  /** A stop or kill through the engine since the last start: no policy restarts it then. */
  readonly stoppedByHand: boolean;
}

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 60_000;
/** A container that ran this long starts again with the first delay. */
const STABLE_AFTER_MS = 10_000;

export const FRESH: RestartMemory = { delayMs: 0, count: 0 };

/**
 * Docker's rule and figures (moby `restartmanager.go`, and `kill.go` for stops by hand): 100 ms, doubled each time, at
 * most a minute, from the start again after 10 s up.
 *
 * @returns how long to wait and what to remember, or null when it stays down.
 */
export function nextRestart(policy: RestartPolicy, exit: Exit, memory: RestartMemory): RestartMemory | null {
  const before = exit.ranMs >= STABLE_AFTER_MS ? 0 : memory.delayMs;
  const delayMs = before === 0 ? FIRST_DELAY_MS : Math.min(before * 2, MAX_DELAY_MS);
  return !exit.stoppedByHand && wants(policy, exit, memory.count) ? { delayMs, count: memory.count + 1 } : null;
}

function wants(policy: RestartPolicy, exit: Exit, count: number): boolean {
  switch (policy.name) {
    case "no":
      return false;
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure":
      return exit.exitCode !== 0 && (policy.max === 0 || count < policy.max);
  }
}

const policyText = z.string().regex(/^(no|always|unless-stopped|on-failure(:\d+)?)$/);

/** Reads Docker's spelling, e.g. `on-failure:5`. @throws EngineError `not-supported` for anything else. */
export function parseRestartPolicy(text: string): RestartPolicy {
  if (!policyText.safeParse(text).success)
    throw new EngineError(
      "not-supported",
      `restart policy "${text}" is not one of no, always, unless-stopped, on-failure[:times]`,
    );
  const [name, max] = text.split(":");
  return { name: name as RestartPolicy["name"], max: Number(max ?? 0) };
}
