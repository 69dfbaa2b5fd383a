export { auditedAgentActs } from "./agent-acts.ts";
export type { AgentActs, LegacyParts, ModeSwitch } from "./legacy.ts";
export { OWN_ROW, runWatchdog, type WatchdogOptions } from "./run-watchdog.ts";
export type { WatchdogSettings } from "./settings.ts";
export { watchdogStatus } from "./status.ts";
export { SIDECAR } from "./target-watch.ts";
