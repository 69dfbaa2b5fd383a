import { readSettings, type ControlSettings } from "../control/settings.ts";
import type { CliIo } from "./io.ts";

/** This deployment gives the operator the whole engine, and people are told so every time. */
export const LEGACY_WARNING =
  "warning: the agent holds the Docker socket itself (legacy mode); whoever controls it controls this machine's engine\n";

/** Which mode, and the rest of the control plane's settings, as flags, environment and file say. @throws ConfigError */
export function settingsOf(
  flags: { readonly composeMode?: boolean; readonly config?: string },
  io: CliIo,
): ControlSettings {
  return readSettings({ env: io.env, flags: { composeMode: flags.composeMode, config: flags.config } }).settings;
}
