/**
 * What the panel needs from the control API, and in which form. Everything goes through the control client with the
 * panel's own token; keys that are not listed here are ignored, so the server may send more.
 */
import { z } from "zod";

export const PLANES = ["status_panel", "compose_agent"] as const;
export type PlaneName = (typeof PLANES)[number];

/** `GET /health`; `planes` is ours, beside the original's keys. */
export const healthSchema = z.object({
  status: z.string(),
  token_age_seconds: z.number().nullable(),
  last_refresh_ok: z.boolean().nullable(),
  command_metrics: z.object({
    status_panel_count: z.number(),
    compose_agent_count: z.number(),
    total_count: z.number(),
    last_control_plane: z.string().nullable(),
    last_command_timestamp_ms: z.number().nullable(),
  }),
  planes: z
    .record(z.string(), z.object({ token_age_seconds: z.number().nullable(), last_refresh_ok: z.boolean().nullable() }))
    .optional(),
});
export type ControlHealth = z.output<typeof healthSchema>;

/** `GET /capabilities`. */
export const capabilitiesSchema = z.object({
  compose_agent: z.boolean(),
  control_plane: z.string(),
  version: z.string(),
  features: z.array(z.string()),
});

/** `GET /api/v1/tickets`: `{ "tickets": Ticket[] }`, the row of `tickets/types.ts`, unresolved ones and the latest others. */
/** `GET /api/v1/sessions`: `{ "sessions": Session[] }`, newest first, the row of `tickets/types.ts`. */
/** `GET /api/v1/sessions/{id}/entries?after=<entry id>`: `{ "entries": StoredLogEntry[] }`, in true order. */
/** `GET /api/v1/approvals`: `{ "approvals": Approval[] }`. `POST /api/v1/approvals/{id}`: `{decision, by, reason}`. */
/** `GET /api/v1/watchdog`: `{ "targets": [...], "events": [...] }`. */
