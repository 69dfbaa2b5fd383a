import type { Server } from "@grpc/grpc-js";
import type { ServerHttp2Stream } from "node:http2";

type StreamHandler = (interceptors: unknown, stream: ServerHttp2Stream, headers: unknown) => void;

/**
 * Lets a grpc-js server pass over streams that were reset before it saw them, which happens when a held connection
 * delivers request and reset at once. Left alone it answers some of them (an unknown method, 1.14.7:
 * `_respondWithError`) without looking and throws out of the event loop, which would end the process. There is no
 * public hook at this place. To be called before `createConnectionInjector`.
 */
export function passOverDeadStreams(server: Server): void {
  const inner = server as unknown as Record<string, unknown>;
  for (const name of ["_streamHandler", "_channelzHandler"]) {
    const handle = inner[name];
    if (typeof handle !== "function") continue;
    const guarded: StreamHandler = (interceptors, stream, headers) => {
      if (stream.destroyed || stream.closed) return;
      (handle as StreamHandler).call(server, interceptors, stream, headers);
    };
    inner[name] = guarded;
  }
}
