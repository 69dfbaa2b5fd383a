import { status } from "@grpc/grpc-js";
import type { Clock } from "../../../../../harness/base/clock.ts";
import { errorText } from "../../../../../harness/base/errors.ts";
import type { NodeLog } from "../../node-log.ts";
import type { Cluster } from "../cluster.ts";
import type { Leadership } from "../leadership.ts";
import type { ObservedMetrics } from "../metrics-observed.ts";
import { PdRefusal } from "../pd-refusal.ts";
import type { Coordinator } from "../schedule/coordinator.ts";

/** pdpb.ErrorType */
export const ERROR = {
  UNKNOWN: 1,
  NOT_BOOTSTRAPPED: 2,
  STORE_TOMBSTONE: 3,
  ALREADY_BOOTSTRAPPED: 4,
  REGION_NOT_FOUND: 6,
  REGIONS_NOT_CONTAIN_ALL_KEY_RANGE: 12,
} as const;

export interface GrpcParts {
  readonly cluster: Cluster;
  readonly leadership: Leadership;
  readonly coordinator: Coordinator;
  readonly observed: ObservedMetrics;
  readonly clock: Clock;
  readonly log: NodeLog;
}

export interface Header {
  readonly cluster_id: string;
}
export interface Request {
  readonly header: Header | null;
}

/** A refusal by gRPC status, as PD makes them. */
export class GrpcRefusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** An error inside the reply's header; the call itself succeeds. */
export class HeaderError extends Error {
  readonly type: number;
  constructor(type: number, message: string) {
    super(message);
    this.type = type;
  }
}

export interface Stream<Q, A> {
  on(event: string, listener: (data: Q) => void): void;
  write(reply: A): void;
  end(): void;
  destroy(error: Error): void;
}

interface UnaryCall {
  readonly request: Request;
  readonly metadata: { get(key: string): readonly unknown[] };
}
export type Unary = (call: UnaryCall, done: (error: unknown, reply?: unknown) => void) => void;
export type Methods = Readonly<Record<string, Unary>>;

/** A client that accepts a follower's copy of the regions says so (tikv/pd:pkg/utils/grpcutil, `FollowerHandleMetadataKey`). */
const FOLLOWER_HANDLES = "pd-allow-follower-handle";

/** Who answers what, and in which form a call is refused (tikv/pd:server/grpc_service.go, `validateRequest`). */
export class Calls {
  readonly #parts: GrpcParts;

  constructor(parts: GrpcParts) {
    this.#parts = parts;
  }

  header(): Header {
    return { cluster_id: this.#parts.cluster.state.clusterId };
  }

  /** Why a call for the leader is refused here; null = it is not. */
  refusal(header: Header | null): GrpcRefusal | null {
    const { leadership } = this.#parts;
    if (!leadership.started) return new GrpcRefusal(status.UNAVAILABLE, "server not started");
    return leadership.serving ? this.foreign(header) : new GrpcRefusal(status.UNAVAILABLE, "not leader");
  }

  /** Whether the caller means another cluster. */
  foreign(header: Header | null): GrpcRefusal | null {
    const { clusterId } = this.#parts.cluster.state;
    const given = header?.cluster_id ?? "0";
    return given === clusterId
      ? null
      : new GrpcRefusal(status.FAILED_PRECONDITION, `mismatch cluster id, need ${clusterId} but got ${given}`);
  }

  /** Answered by every member that has started, whatever cluster the caller means. */
  open<Q, A>(handle: (request: Q) => A): Unary {
    const { leadership } = this.#parts;
    return this.#unary(handle, () =>
      leadership.started ? null : new GrpcRefusal(status.UNAVAILABLE, "server not started"),
    );
  }

  /** Answered by the leader, whether or not there is a store yet. */
  always<Q, A>(handle: (request: Q) => A): Unary {
    return this.#unary(handle, ({ request }) => this.refusal(request.header));
  }

  /** Answered by the leader of a bootstrapped cluster. */
  leader<Q, A>(handle: (request: Q) => A): Unary {
    return this.always((request: Q) => handle(this.#bootstrapped(request)));
  }

  /** As `leader`; by a follower too when the caller takes its copy. */
  copied<Q, A>(handle: (request: Q) => A): Unary {
    return this.#unary(
      (request: Q) => handle(this.#bootstrapped(request)),
      ({ request, metadata }) =>
        metadata.get(FOLLOWER_HANDLES).length > 0 && this.#parts.leadership.started
          ? this.foreign(request.header)
          : this.refusal(request.header),
    );
  }

  /** How long each call takes, by its name. */
  timed(methods: Methods): Methods {
    const { observed, clock } = this.#parts;
    const timed = (name: string, method: Unary): Unary => {
      const labels = { grpc_method: name, grpc_service: "pdpb.PD", grpc_type: "unary" };
      return (call, done) => {
        const began = clock.monotonic();
        method(call, (error, reply) => {
          observed.grpc.observe(labels, (clock.monotonic() - began) / 1_000);
          done(error, reply);
        });
      };
    };
    return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, timed(name, method)]));
  }

  #bootstrapped<Q>(request: Q): Q {
    if (this.#parts.cluster.bootstrapped) return request;
    throw new HeaderError(ERROR.NOT_BOOTSTRAPPED, "cluster is not bootstrapped");
  }

  #unary<Q, A>(handle: (request: Q) => A, refuse: (call: UnaryCall) => GrpcRefusal | null): Unary {
    return (call, done) => {
      const work = async () => {
        const refused = refuse(call);
        if (refused !== null) throw refused;
        const reply = (await handle(call.request as Q & Request)) as object;
        return { header: this.header(), ...reply };
      };
      work().then(
        (reply) => done(null, reply),
        (error: unknown) => {
          if (error instanceof HeaderError || error instanceof PdRefusal) {
            const type = error instanceof HeaderError ? error.type : ERROR.UNKNOWN;
            done(null, { header: { ...this.header(), error: { type, message: error.message } } });
          } else done(asServiceError(error));
        },
      );
    };
  }
}

export function asServiceError(error: unknown): Error & { code: number; details: string } {
  const code = error instanceof GrpcRefusal ? error.code : status.UNAVAILABLE;
  const details = errorText(error);
  return Object.assign(new Error(details), { code, details });
}
