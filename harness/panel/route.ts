import type { CommandName } from "../control/contract.ts";
import type { KnownPart } from "./parts.ts";

/** Where a command of the panel is executed, or why nowhere. */
export type Route =
  | { readonly to: "compose-agent" }
  | { readonly to: "agent"; readonly agentId: string; readonly deploymentHash: string }
  | { readonly to: "nobody"; readonly why: string };

/** What the panel knows of the control API at the compose-agent. */
export interface ControlSight {
  readonly answers: boolean;
  /** Why it does not. */
  readonly why: string | null;
  /** From `/capabilities`; null while it never answered. */
  readonly features: readonly string[] | null;
}

/**
 * The plane that can do it: the compose-agent where it answers and can; else a legacy agent that holds the engine itself
 * and asks the panel for commands; else nobody, and why.
 */
export function routeOf(command: CommandName, control: ControlSight, parts: readonly KnownPart[]): Route {
  const can = (features: readonly string[] | null): boolean => features?.includes(command) ?? false;
  if (control.answers && can(control.features)) return { to: "compose-agent" };
  const legacy = parts.filter(({ part, composeAgent, holder }) => part === "agent" && !composeAgent && holder);
  const able = legacy.find(({ gone, features }) => !gone && can(features));
  if (able !== undefined) return { to: "agent", agentId: able.agentId, deploymentHash: able.deploymentHash };
  if (control.answers) return { to: "nobody", why: `the compose-agent cannot ${command} here` };
  const silent = `the compose-agent does not answer (${control.why ?? "not asked yet"})`;
  if (legacy.length === 0) return { to: "nobody", why: `${silent}, and no agent holds the engine in its place` };
  const state = legacy.every(({ gone }) => gone) ? "is gone" : `cannot ${command}`;
  return { to: "nobody", why: `${silent}, and the agent that holds the engine ${state}` };
}
