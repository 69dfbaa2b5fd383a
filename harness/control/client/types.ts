import type { EpochMs } from "../../base/clock.ts";
import type { CommandReport, CommandRequest, Fence, ReportRequest } from "../contract.ts";
import type { ApprovalProof } from "../contract.ts";
import type { Plane } from "../planes.ts";
import type { TokenRecord } from "../tokens/types.ts";

export interface ControlClientOptions {
  /** Exactly one of the two: `http://host:port`, or the path of a Unix socket. */
  readonly url?: string;
  readonly socketPath?: string;
  readonly plane: Plane;
  readonly agentId: string;
  readonly deploymentHash: string;
  /** Asked for each signature; null = there is none at the moment. */
  token(): TokenRecord | null;
  /** Called once when the server does not know the key: the token may have been rotated. */
  refreshToken?(signal: AbortSignal): Promise<void>;
  /** Only this server is talked to; without it the first that answers is, and whoever takes its place. */
  readonly serverId?: string;
  /** How long a server that is away is waited for. Default 15 s. */
  readonly patienceMs?: number;
  /** Called when the client is disposed of, for what was opened for it alone. */
  onEnd?(): Promise<void>;
}

export interface CallOptions {
  /** Default: a fresh one. The same key and body get the first answer again. */
  readonly idempotencyKey?: string;
  readonly reason?: string;
  readonly fence?: Fence | null;
  readonly approval?: ApprovalProof | null;
}

/** A command as a poller gets it. */
export interface DeliveredCommand {
  readonly id: string;
  readonly command_id: string;
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly plane: Plane;
  /** From the panel: what is wanted, sealed; see `legacy/order.ts`. */
  readonly order?: string | undefined;
}

export interface ServerEvent {
  /** For `after`. */
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
}

/**
 * Signed calls to one control server. Every method throws `ControlError` for what the server refused (`apiCode`,
 * `status`), and `engine-unreachable` where it cannot be reached.
 *
 * A command is sent again, under the same idempotency key, when the connection broke in its middle: it is never run
 * twice, and what nobody can say is `unknown`.
 */
export interface ControlClient extends AsyncDisposable {
  readonly plane: Plane;
  readonly address: string;
  /** Runs a command and waits for its end. */
  execute(name: string, params: object, options: CallOptions, signal: AbortSignal): Promise<CommandReport>;
  /** Leaves it to the queue. @returns the id to ask for with `command`. */
  enqueue(
    name: string,
    params: object,
    options: CallOptions & { readonly executor?: CommandRequest["executor"] },
    signal: AbortSignal,
  ): Promise<string>;
  command(commandId: string, signal: AbortSignal): Promise<CommandReport>;
  /**
   * For pollers: the next command that waits for one, or null after `timeoutMs`. `holding` names those that it has and
   * has not reported: what the panel gave out and is not among them was lost on its way, and comes again.
   */
  wait(timeoutMs: number, signal: AbortSignal, holding?: readonly string[]): Promise<DeliveredCommand | null>;
  report(report: ReportRequest, signal: AbortSignal): Promise<void>;
  /** Any signed request of the API; JSON in, JSON out. */
  get(target: string, signal: AbortSignal): Promise<unknown>;
  post(target: string, body: object, signal: AbortSignal): Promise<unknown>;
  /** Unsigned. */
  health(signal: AbortSignal): Promise<unknown>;
  capabilities(signal: AbortSignal): Promise<unknown>;
  /** Prometheus text, unsigned. */
  metrics(signal: AbortSignal): Promise<string>;
  /** Server-sent events of a signed target, from `after` on. Ends when the signal aborts; throws when the server ends it. */
  events(target: string, signal: AbortSignal): Promise<AsyncIterable<ServerEvent>>;
  /** For `Authorization: Assertion …` at the panel. */
  assertion(signal: AbortSignal): Promise<{ readonly assertion: string; readonly expiresAt: EpochMs }>;
}

export interface ControlEngineOptions {
  readonly client: ControlClient;
  /** Asked for each call: what incident it is made for. */
  fence?(): Fence | null;
  /** Asked for each write: the id of a person's yes to it, where the server wants one. */
  approval?(): string | null;
}
