/** Where a command comes from: `status_panel` is people's, `compose_agent` the operator's agent. Each has its own token. */
export const PLANES = ["status_panel", "compose_agent"] as const;

export type Plane = (typeof PLANES)[number];

/** What a token's record may allow; the command table (`contract.ts`) says which command needs which. */
export const SCOPES = [
  "containers:read",
  "containers:write",
  "containers:destructive",
  "server:read",
  "queue:enqueue",
  "queue:work",
  "tickets:read",
  "tickets:hold",
  "sessions:read",
  "approvals:read",
  "approvals:decide",
  "watchdog:read",
  "events:read",
  "auth:rotate",
  "auth:assert",
] as const;

export type Scope = (typeof SCOPES)[number];

/**
 * For a token whose record names no scopes. The operator's agent sees neither tickets nor sessions through the control
 * API: what other sessions found is not for it. People in the panel cannot destroy.
 */
export const DEFAULT_SCOPES: Readonly<Record<Plane, readonly Scope[]>> = {
  status_panel: SCOPES.filter((scope) => scope !== "containers:destructive" && scope !== "auth:assert"),
  compose_agent: [
    "containers:read",
    "containers:write",
    "containers:destructive",
    "server:read",
    "queue:enqueue",
    "queue:work",
    "auth:rotate",
    "auth:assert",
  ],
};
