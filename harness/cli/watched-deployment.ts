import { resolve } from "node:path";
import type { Tickets } from "../../tickets/index.ts";
import type { ControlSettings } from "../control/settings.ts";
import { SIDECAR, type ModeSwitch } from "../control/watchdog/index.ts";
import { openAgentCompose, type AgentMode } from "../engine/agent-compose.ts";
import { openCompose, type Compose } from "../engine/compose.ts";
import { keptChoices } from "./agent-choices.ts";
import { agentSite } from "./agent-site.ts";
import type { CliIo } from "./io.ts";

export interface DeploymentFlags {
  readonly project: string;
  readonly network: string;
  /** Files of somebody's own in place of those of `lab agent up`; their variables are the environment's. */
  readonly composeFile?: string;
  readonly legacyFile?: string;
}

interface Watched {
  readonly deployment: string;
  readonly flags: DeploymentFlags;
  readonly settings: Pick<ControlSettings, "tokenDir" | "watchdog">;
  readonly tickets: Pick<Tickets, "watchdog">;
}

/**
 * How the deployment's containers are made anew, and how its mode changes. They come from the file of the last `lab
 * agent up`; the agent also from the legacy one, as long as the watchdog's own record says that it fell back to it, and
 * the host allows that. The record alone decides nothing: it is in the ticket file, which the agent's program writes too.
 */
export function watchedDeployment(
  { deployment, flags, settings, tickets }: Watched,
  io: CliIo,
): { compose(component: string, signal: AbortSignal): Promise<Compose>; readonly modes: ModeSwitch } {
  const { project, network, composeFile, legacyFile } = flags;
  const siteNow = async () => {
    const site = await agentSite({ network, settings }, io);
    const kept = await keptChoices(site.stateDir);
    return { mode: kept.mode, site: { ...site, more: { ...site.more, ...kept.variables } } };
  };
  const open = async (mode: AgentMode, signal: AbortSignal): Promise<Compose> => {
    const own = mode === "legacy" ? legacyFile : composeFile;
    if (own !== undefined) return await openCompose({ file: resolve(io.cwd, own), project }, signal);
    return await openAgentCompose(mode, project, (await siteNow()).site, signal);
  };
  const fellBack = async (): Promise<boolean> =>
    settings.watchdog.allowLegacyFallback &&
    (await tickets.watchdog.targets(deployment)).some(({ component, legacy }) => component === SIDECAR && legacy);
  const upAgent = async (mode: AgentMode, signal: AbortSignal): Promise<void> =>
    (await open(mode, signal)).up({ services: ["agent"], noDeps: true }, signal);
  return {
    compose: async (component, signal) => {
      if (component === "agent" && (await fellBack())) return await open("legacy", signal);
      // Somebody's own file says itself what it is.
      return await open(composeFile === undefined ? (await siteNow()).mode : "compose", signal);
    },
    modes: { toLegacy: (signal) => upAgent("legacy", signal), toCompose: (signal) => upAgent("compose", signal) },
  };
}
