import { resolve } from "node:path";
import type { Tickets } from "../../tickets/index.ts";
import { SIDECAR, type ModeSwitch } from "../control/watchdog/index.ts";
import { openCompose, type Compose } from "../engine/compose.ts";
import type { CliIo } from "./io.ts";

export interface DeploymentFlags {
  readonly composeFile?: string;
  readonly legacyFile?: string;
}

const FOLDER = resolve(import.meta.dirname, "../../docker/agent");

/**
 * How the deployment's containers are made anew, and how its mode changes. The agent comes from the legacy file as long
 * as the watchdog's own record says that it fell back to it; everything else always from compose mode's file.
 */
export function watchedDeployment(
  {
    project,
    flags,
    tickets,
  }: { readonly project: string; readonly flags: DeploymentFlags; readonly tickets: Pick<Tickets, "watchdog"> },
  io: CliIo,
): { compose(component: string, signal: AbortSignal): Promise<Compose>; readonly modes: ModeSwitch } {
  const fileOf = (given: string | undefined, own: string): string =>
    given === undefined ? resolve(FOLDER, own) : resolve(io.cwd, given);
  const open = (legacy: boolean, signal: AbortSignal): Promise<Compose> => {
    const file = legacy
      ? fileOf(flags.legacyFile, "docker-compose.legacy.yml")
      : fileOf(flags.composeFile, "docker-compose.yml");
    return openCompose({ file, project }, signal);
  };
  const fellBack = async (): Promise<boolean> =>
    (await tickets.watchdog.targets(project)).some(({ component, legacy }) => component === SIDECAR && legacy);
  const upAgent = async (legacy: boolean, signal: AbortSignal): Promise<void> =>
    (await open(legacy, signal)).up({ services: ["agent"] }, signal);
  return {
    compose: async (component, signal) => open(component === "agent" && (await fellBack()), signal),
    modes: { toLegacy: (signal) => upAgent(true, signal), toCompose: (signal) => upAgent(false, signal) },
  };
}
