/** What the panel knows at one moment. Data, not markup: `web/` makes the page of it. */
import type { EpochMs } from "../base/clock.ts";
import type { Plane } from "../control/planes.ts";
import type { ComponentStatus } from "../control/registration.ts";
import type {
  ApprovalRow,
  ControlCapabilities,
  ControlHealth,
  EntryRow,
  SessionRow,
  TicketRow,
  WatchdogEventRow,
  WatchdogTargetRow,
} from "./control-port.ts";
import type { KnownPart } from "./parts.ts";

/** What was read last, and why it could not be read again. */
export interface Seen<T> {
  readonly value: T | null;
  /** When `value` was read. */
  readonly at: EpochMs | null;
  /** Why the latest reading failed; null = it did not. */
  readonly why: string | null;
}

export interface Sight {
  /** The panel's clock. */
  readonly now: EpochMs;
  /**
   * The agent that answers for its ticket file while the compose-agent does not, and why that one does not; null = what
   * is shown comes from the compose-agent, or from nobody.
   */
  readonly legacy: { readonly agentId: string; readonly why: string | null } | null;
  readonly health: Seen<ControlHealth>;
  readonly capabilities: Seen<ControlCapabilities>;
  /** Failed and refused commands by plane. */
  readonly failures: Seen<Readonly<Record<Plane, number>>>;
  readonly perMinute: Readonly<Record<Plane, number | null>>;
  readonly tickets: Seen<readonly TicketRow[]>;
  /** Somebody is there who would open tickets; null = not told. */
  readonly monitored: boolean | null;
  readonly approvals: Seen<readonly ApprovalRow[]>;
  readonly watchdog: Seen<{
    readonly targets: readonly WatchdogTargetRow[];
    readonly events: readonly WatchdogEventRow[];
  }>;
  readonly sessions: Seen<readonly SessionRow[]>;
  /** The running session, or the last one. */
  readonly session: SessionRow | null;
  readonly entries: readonly EntryRow[];
  readonly parts: readonly KnownPart[];
  readonly cluster: Cluster | null;
  readonly done: readonly Done[];
}

/** The subject's components as the part that holds the engine told last. */
export interface Cluster {
  readonly components: readonly ComponentStatus[];
  readonly toldBy: string;
  readonly at: EpochMs;
  /** Whoever told it is gone: this is how it was. */
  readonly stale: boolean;
}

/** A command that somebody gave here, and what came of it. */
export interface Done {
  readonly id: string;
  readonly at: EpochMs;
  readonly by: string;
  /** e.g. `restart tikv1`. */
  readonly what: string;
  readonly state: "running" | "success" | "failed" | "refused" | "unknown";
  /** Where it ran and why it failed. */
  readonly text: string;
  /** e.g. `compose-agent`. */
  readonly ranAt: string | null;
  readonly plane: string | null;
}

export function unseen<T>(): Seen<T> {
  return { value: null, at: null, why: null };
}
