import {
  credentials,
  Metadata,
  status,
  type ChannelOptions,
  type Client,
  type ClientUnaryCall,
  type ServiceClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import type { Clock } from "../../../harness/base/clock.ts";

/**
 * Keepalive as in TiKV's official clients (10 s + 3 s); a proxy from the environment would turn addresses of the
 * cluster into tunnels, and a shared pool would hand a new client the broken connection of an old one.
 */
const CHANNEL: ChannelOptions = {
  "grpc.enable_http_proxy": 0,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.min_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
};

/** A connection of its own to `address` (`host:port`); dialled with the first call. */
export function dial(constructor: ServiceClientConstructor, address: string): Client {
  return new constructor(address, credentials.createInsecure(), CHANNEL);
}

/** The call got no answer: refused, broken off, timed out. `code` is gRPC's name in lower case, e.g. `unavailable`. */
export class CallError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.name = "CallError";
    this.code = code;
  }
}

interface CallOptions {
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * One unary call.
 *
 * @throws CallError when there is no answer within `timeoutMs`; the signal's reason when it aborts.
 */
export function unary<Response>(
  client: Client,
  method: string,
  request: object,
  { timeoutMs, clock, signal }: CallOptions,
): Promise<Response> {
  return new Promise<Response>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    let call: ClientUnaryCall | null = null;
    const onAbort = () => call?.cancel();
    const done = (error: ServiceError | null, response?: Response) => {
      signal.removeEventListener("abort", onAbort);
      if (signal.aborted) reject(signal.reason as Error);
      else if (error !== null) reject(callError(error));
      else resolve(response as Response);
    };
    const run = (client as unknown as Record<string, UnaryMethod<Response>>)[method];
    if (run === undefined) return reject(new TypeError(`no method ${method}`));
    signal.addEventListener("abort", onAbort, { once: true });
    call = run.call(client, request, new Metadata(), { deadline: clock.now() + timeoutMs }, done);
  });
}

type UnaryMethod<Response> = (
  request: object,
  metadata: Metadata,
  options: { deadline: number },
  done: (error: ServiceError | null, response?: Response) => void,
) => ClientUnaryCall;

function callError(error: ServiceError): CallError {
  const code = (status[error.code] ?? "unknown").toLowerCase();
  return new CallError(code === "deadline_exceeded" ? "deadline" : code, error.details || error.message, {
    cause: error,
  });
}
