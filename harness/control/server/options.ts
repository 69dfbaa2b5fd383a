import type { Clock, Engine, Ids, InstanceId, Log, SafetyMode } from "../../protocol.ts";
import type { Tickets } from "../../../tickets/index.ts";
import type { AuditTrail } from "../audit/types.ts";
import type { Plane } from "../planes.ts";
import type { TokenCache } from "../tokens/types.ts";

export interface ControlServerOptions {
  /** The subject's containers and nothing else. */
  readonly engine: Engine;
  readonly tokens: TokenCache;
  readonly audit: AuditTrail;
  /** Null = no ticket file: nothing is fenced, and the endpoints of tickets answer 404. */
  readonly tickets: Tickets | null;
  /** Of the agent's plane; people's writes are theirs. */
  readonly mode: SafetyMode;
  /** Incidents of this instance alone may be worked on. */
  readonly instance: InstanceId;
  readonly deploymentHash: string;
  readonly version: string;
  /** Folder of the queue, 0700. One server at a time. */
  readonly stateDir: string;
  /** COMPOSE_AGENT_ENABLED and CONTROL_PLANE, for `/capabilities`. */
  readonly controlPlane: Plane;
  /** Slots that run commands; null = none: what is enqueued waits for pollers (a panel with legacy agents). */
  readonly workers?: { readonly min: number; readonly max: number } | null;
  readonly limits?: Partial<ServerLimits>;
}

export interface ServerLimits {
  /** Larger bodies are answered 413 before anything else. */
  readonly bodyBytes: number;
  /** Per authenticated plane. */
  readonly requestsPerSecond: number;
  readonly burst: number;
  /** Longest long poll. */
  readonly waitMs: number;
  /** Long polls and streams of one plane that are open at once; more are answered 429. */
  readonly openRequests: number;
  /** Commands of one plane that wait in the queue at once; more are answered 429. */
  readonly queued: number;
}

export interface ControlServerDeps {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
}

/** A server that listens. Disposing it ends its workers and closes; what runs is let finish for a moment. */
export interface ControlServer extends AsyncDisposable {
  /** With the port that was chosen, e.g. `http://127.0.0.1:8701`; null where only a socket is served. */
  readonly url: string | null;
  readonly socketPath: string | null;
  readonly serverId: string;
  readonly bootEpoch: string;
  /** As `/capabilities` had them last. */
  features(): readonly string[];
}

/** Where to listen: TCP, a Unix socket (0600 unless told otherwise), or both. */
export interface ListenOptions {
  readonly tcp?: { readonly host: string; readonly port: number } | null;
  readonly socket?: { readonly path: string; readonly mode?: number } | null;
}
