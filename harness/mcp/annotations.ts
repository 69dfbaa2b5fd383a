import type { ToolAnnotations } from "@modelcontextprotocol/sdk/types.js";
import type { Effect } from "../protocol.ts";

/** What the calls of one tool can come to; which of it a single call is, the tool itself says. */
interface ToolEffects {
  /** The least and the worst that a call can be. */
  readonly least: Effect;
  readonly worst: Effect;
  /** The same call twice changes no more than once. */
  readonly idempotent: boolean;
}

const READ: ToolEffects = { least: "read", worst: "read", idempotent: true };
const SETS: ToolEffects = { least: "write", worst: "write", idempotent: true };
const ACTS: ToolEffects = { least: "write", worst: "write", idempotent: false };
const MIXED: ToolEffects = { least: "read", worst: "destructive", idempotent: false };
const DESTROYS: ToolEffects = { least: "destructive", worst: "destructive", idempotent: false };

/** Every tool of the agent. What is not listed here may do anything. */
const EFFECTS: Readonly<Record<string, ToolEffects>> = {
  prometheus_query: READ,
  prometheus_query_range: READ,
  prometheus_labels: READ,
  prometheus_targets: READ,
  prometheus_alerts: READ,
  container_list: READ,
  container_inspect: READ,
  container_logs: READ,
  container_stats: READ,
  wait: READ,
  hypothesis: READ,
  submit_diagnosis: READ,
  container_exec: MIXED,
  pd_request: MIXED,
  tikv_status: MIXED,
  container_start: SETS,
  container_stop: SETS,
  container_pause: SETS,
  container_unpause: SETS,
  container_update: SETS,
  network_connect: SETS,
  network_disconnect: SETS,
  container_restart: ACTS,
  container_kill: ACTS,
  container_recreate: DESTROYS,
};

export function effectsOf(tool: string): ToolEffects {
  return (Object.hasOwn(EFFECTS, tool) ? EFFECTS[tool] : undefined) ?? MIXED;
}

/** For clients that ask their user before they change something, and only then. */
export function annotationsOf(tool: string): ToolAnnotations {
  const { worst, idempotent } = effectsOf(tool);
  // It changes nothing in the cluster, but it is the last word: no client should say it by the way.
  const readOnly = worst === "read" && tool !== "submit_diagnosis";
  return {
    title: tool.replaceAll("_", " "),
    readOnlyHint: readOnly,
    destructiveHint: worst === "destructive",
    idempotentHint: idempotent && tool !== "submit_diagnosis",
    // The incident's own cluster, and nothing else.
    openWorldHint: false,
  };
}
