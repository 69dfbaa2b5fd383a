import {
  Server,
  type handleUnaryCall,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Counter } from "../../../common/metrics/registry.ts";
import { healthService, tikvService } from "../../proto/load.ts";
import type { RawApi } from "./raw-api.ts";
import { METRIC_TYPES, type RawKind, type RawReply, type RawRequest } from "./raw-request.ts";

interface BatchRequest {
  readonly requests: readonly (Readonly<Record<string, unknown>> & { readonly cmd?: string })[];
  readonly request_ids: readonly string[];
}

interface BatchReply {
  readonly responses: readonly Readonly<Record<string, unknown>>[];
  readonly request_ids: readonly string[];
}

const SERVING = 1;
const RAW_KINDS = Object.keys(METRIC_TYPES) as RawKind[];

/** The gRPC side of a store: raw requests one by one or in batches, and health. */
export function tikvGrpcServer(api: RawApi, failures: Counter): Server {
  const server = new Server({
    "grpc.max_receive_message_length": 64 << 20,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_permit_without_calls": 1,
  });
  const unary = RAW_KINDS.map((kind) => [kind, unaryHandler(api, kind, failures)]);
  server.addService(tikvService, {
    ...(Object.fromEntries(unary) as Record<RawKind, handleUnaryCall<RawRequest, RawReply>>),
    BatchCommands: (call: ServerDuplexStream<BatchRequest, BatchReply>) => serveBatches(api, call),
  });
  server.addService(healthService, {
    Check: (_call: unknown, done: sendUnaryData<object>) => done(null, { status: SERVING }),
  });
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

/** Replies leave when they are ready, those of one turn of the loop together, in any order. */
function serveBatches(api: RawApi, call: ServerDuplexStream<BatchRequest, BatchReply>): void {
  let ready: { readonly id: string; readonly response: Readonly<Record<string, unknown>> }[] = [];
  const flush = (): void => {
    const now = ready;
    ready = [];
    if (call.writable && !call.cancelled)
      call.write({ responses: now.map(({ response }) => response), request_ids: now.map(({ id }) => id) });
  };
  const finish = (id: string, response: Readonly<Record<string, unknown>>): void => {
    if (ready.length === 0) setImmediate(flush);
    ready.push({ id, response });
  };
  call.on("data", ({ requests, request_ids }: BatchRequest) => {
    requests.forEach((request, at) => {
      const id = request_ids[at] ?? "0";
      const kind = RAW_KINDS.find((name) => name === request.cmd);
      if (kind === undefined) finish(id, { Empty: { test_id: "0" } });
      else void api.handle(kind, request[kind] as RawRequest).then((reply) => finish(id, { [kind]: reply }));
    });
  });
  call.on("error", () => {});
  call.on("end", () => call.end());
}
