import type { Log } from "../../base/log.ts";
import type { ControlSettings } from "./read-settings.ts";

/** What the agent and the compose-agent say first: how containers are reached, and for whom. People search for these lines. */
export function announceMode(
  { composeAgentEnabled, controlPlane }: Pick<ControlSettings, "composeAgentEnabled" | "controlPlane">,
  log: Log,
): void {
  if (composeAgentEnabled) log.info("compose_agent=true - compose-agent sidecar handling Docker operations");
  else log.warn("compose_agent=false - running in legacy mode");
  log.info("Control plane identified", { control_plane: controlPlane });
}
