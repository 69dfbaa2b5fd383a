import {
  Server,
  type handleUnaryCall,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Clock } from "../../../../harness/base/clock.ts";
import type { Counter } from "../../../common/metrics/registry.ts";
import { healthService, tikvService } from "../../proto/load.ts";
import type { RawApi } from "./raw-api.ts";
import type { HealthFeedback, StoreHealth } from "./store-health.ts";
import { METRIC_TYPES, type RawKind, type RawReply, type RawRequest } from "./raw-request.ts";

interface BatchRequest {
  readonly requests: readonly (Readonly<Record<string, unknown>> & { readonly cmd?: string })[];
  readonly request_ids: readonly string[];
}

interface BatchReply {
  readonly responses: readonly Readonly<Record<string, unknown>>[];
  readonly request_ids: readonly string[];
  readonly health_feedback?: HealthFeedback;
}

/** server.health-feedback-interval */
const FEEDBACK_MS = 1_000;
const RAW_KINDS = Object.keys(METRIC_TYPES) as RawKind[];

/** The gRPC side of a store: raw requests one by one or in batches, and health. */
export function tikvGrpcServer(options: {
  readonly api: RawApi;
  readonly health: StoreHealth;
  readonly clock: Clock;
  readonly failures: Counter;
}): Server {
  const { api, health, failures } = options;
  const server = new Server({
    "grpc.max_receive_message_length": 64 << 20,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_permit_without_calls": 1,
  });
  const unary = RAW_KINDS.map((kind) => [kind, unaryHandler(api, kind, failures)]);
  server.addService(tikvService, {
    ...(Object.fromEntries(unary) as Record<RawKind, handleUnaryCall<RawRequest, RawReply>>),
    GetHealthFeedback: (_call: unknown, done: sendUnaryData<object>) =>
      done(null, { health_feedback: health.feedback }),
    BatchCommands: (call: ServerDuplexStream<BatchRequest, BatchReply>) => serveBatches(options, call),
  });
  server.addService(healthService, health.handlers);
  return server;
}

function unaryHandler(api: RawApi, kind: RawKind, failures: Counter): handleUnaryCall<RawRequest, RawReply> {
  return (call: ServerUnaryCall<RawRequest, RawReply>, done) => {
    void api.handle(kind, call.request).then((reply) => {
      if (call.cancelled) failures.inc({ type: METRIC_TYPES[kind] });
      done(null, reply);
    });
  };
}

/**
 * Replies leave when they are ready, those of one turn of the loop together, in any order; once a second with what the
 * store says of its health.
 */
function serveBatches(
  { api, health, clock }: { readonly api: RawApi; readonly health: StoreHealth; readonly clock: Clock },
  call: ServerDuplexStream<BatchRequest, BatchReply>,
): void {
  let ready: { readonly id: string; readonly response: Readonly<Record<string, unknown>> }[] = [];
  let feedbackAt = -Infinity;
  const flush = (): void => {
    const now = ready;
    ready = [];
    if (!call.writable || call.cancelled) return;
    const replies = { responses: now.map(({ response }) => response), request_ids: now.map(({ id }) => id) };
    const due = clock.monotonic() - feedbackAt >= FEEDBACK_MS;
    if (due) feedbackAt = clock.monotonic();
    call.write(due ? { ...replies, health_feedback: health.feedback } : replies);
  };
  const finish = (id: string, response: Readonly<Record<string, unknown>>): void => {
    if (ready.length === 0) setImmediate(flush);
    ready.push({ id, response });
  };
  const serve = (id: string, request: BatchRequest["requests"][number]): void => {
    const kind = RAW_KINDS.find((name) => name === request.cmd);
    if (kind !== undefined)
      void api.handle(kind, request[kind] as RawRequest).then((reply) => finish(id, { [kind]: reply }));
    else if (request.cmd === "GetHealthFeedback")
      finish(id, { GetHealthFeedback: { health_feedback: health.feedback } });
    else finish(id, { Empty: request["Empty"] ?? { test_id: "0" } });
  };
  call.on("data", ({ requests, request_ids }: BatchRequest) => {
    for (const [at, request] of requests.entries()) serve(request_ids[at] ?? "0", request);
  });
  call.on("error", () => {});
  call.on("end", () => call.end());
}
