/**
 * Being known to the panel: a program registers at DASHBOARD_URL with what it can do, and beats. A panel that is down,
 * slow or wrong costs a log line when that changes, and nothing else: nobody waits for it.
 */
import { z } from "zod";
import type { Deps } from "../protocol.ts";
import { PARTS, type Part } from "./assertion.ts";

/** Where the panel answers unless DASHBOARD_URL says otherwise: its service in the compose file. */
export const DEFAULT_DASHBOARD_URL = "http://statuspanel:8702";
/** A part that has not been heard of for `GONE_AFTER_BEATS` times this is shown as gone. */
export const BEAT_EVERY_MS = 5_000;

const component = z.strictObject({
  component: z.string().max(64),
  status: z.string().max(32),
  health: z.string().max(32),
  restartCount: z.number().int().min(0),
});

const event = z.strictObject({
  at: z.number().int(),
  target: z.string().max(64),
  kind: z.string().max(64),
  text: z.string().max(1_000),
});

/** What a beat may say besides "I am alive". Everything is bounded, since the panel keeps it in memory. */
export const statusSchema = z.strictObject({
  /** Present in beats of who holds an engine: the cluster as it sees it. */
  cluster: z.array(component).max(200).optional(),
  /** One line for people, e.g. "works on incident 3f2a". */
  doing: z.string().max(300).optional(),
  /** Watchdog: what it thinks of each target. */
  targets: z
    .array(z.strictObject({ target: z.string().max(64), state: z.string().max(64), reason: z.string().max(500) }))
    .max(20)
    .optional(),
  /** Watchdog: its latest decisions, newest last. */
  events: z.array(event).max(50).optional(),
  /** Agent: age of its plane's token in seconds. */
  tokenAgeSeconds: z.number().min(0).nullable().optional(),
});
export type PartStatus = Readonly<z.input<typeof statusSchema>>;

/** `POST /api/v1/agents/register`. */
export const registrationSchema = z.strictObject({
  agent_id: z.string().min(1).max(128),
  deployment_hash: z.string().min(1).max(128),
  part: z.enum(PARTS),
  version: z.string().max(64),
  /** As `/capabilities`: does the compose-agent handle the containers? */
  compose_agent: z.boolean(),
  control_plane: z.string().max(64),
  /** Commands and abilities, e.g. `docker`, `restart`, `ticket_hold`. */
  features: z.array(z.string().max(64)).max(100),
  status: statusSchema,
});
export type Registration = Readonly<z.output<typeof registrationSchema>>;

/** `POST /api/v1/agents/heartbeat`. The panel answers 404 to one whom it does not know, and that one registers. */
export const heartbeatSchema = z.strictObject({ agent_id: z.string().min(1).max(128), status: statusSchema });

export interface RegistrationOptions {
  /** DASHBOARD_URL. */
  readonly url: string;
  readonly part: Part;
  readonly agentId: string;
  readonly deploymentHash: string;
  readonly version: string;
  readonly composeAgent: boolean;
  readonly controlPlane: "status_panel" | "compose_agent";
  /** Asked at each registration, since what is there is probed. */
  features(): readonly string[];
  /** Asked at each beat; what it throws costs the status of that beat. */
  status(signal: AbortSignal): Promise<PartStatus>;
  /** An assertion that the panel can check; asked for again before `expiresAt`. See `ownAssertions`, `askedAssertions`. */
  assertion(signal: AbortSignal): Promise<string>;
  readonly everyMs?: number;
}

/** Registers and beats until the signal aborts. Never throws. */
export type KeepRegistered = (
  options: RegistrationOptions,
  deps: Pick<Deps, "clock" | "random" | "log" | "fetch">,
  signal: AbortSignal,
) => Promise<void>;
