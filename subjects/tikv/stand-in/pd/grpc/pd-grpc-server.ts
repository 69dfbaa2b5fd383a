import { Server, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { healthService, pdService } from "../../../proto/load.ts";
import { Calls, type GrpcParts } from "./calls.ts";
import { operatingCalls } from "./operating-calls.ts";
import { regionHeartbeats } from "./region-heartbeats.ts";
import { routingCalls } from "./routing-calls.ts";
import { safePointCalls } from "./safe-point-calls.ts";
import { storeCalls } from "./store-calls.ts";
import { tsoStream } from "./tso-stream.ts";

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** `pdpb.PD` as clients and stores call it. */
export function pdGrpcServer(parts: GrpcParts): Server {
  const server = new Server({ "grpc.max_receive_message_length": MAX_MESSAGE_BYTES });
  const calls = new Calls(parts);
  server.addService(pdService, {
    ...calls.timed({
      ...routingCalls(calls, parts),
      ...storeCalls(calls, parts),
      ...operatingCalls(calls, parts),
      ...safePointCalls(calls, parts),
    }),
    Tso: tsoStream(calls, parts),
    RegionHeartbeat: regionHeartbeats(calls, parts),
  } as UntypedServiceImplementation);
  // etcd brings it; clients ask it before they forward through another member.
  server.addService(healthService, {
    Check: (_: unknown, done: (error: null, reply: object) => void) => done(null, { status: 1 }),
  } as UntypedServiceImplementation);
  return server;
}
