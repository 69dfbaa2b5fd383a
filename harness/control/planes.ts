/** Where a command comes from: `status_panel` is people's, `compose_agent` the operator's agent. Each has its own token. */
export const PLANES = ["status_panel", "compose_agent"] as const;

export type Plane = (typeof PLANES)[number];
