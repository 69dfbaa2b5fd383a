import { Server } from "@grpc/grpc-js";
import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { passOverDeadStreams } from "../../subjects/common/one-port/dead-streams.ts";

/** As node:http2 has it: answering on a stream that is gone throws. */
class GoneStream extends Duplex {
  override readonly closed: boolean = true;
  respond(): never {
    throw new Error("The stream has been destroyed");
  }
}

test("a request whose connection is gone already does not end the server", () => {
  const server = new Server();
  const stream = new GoneStream();
  stream.destroy();
  const headers = { ":path": "/pdpb.PD/NoSuchMethod", "content-type": "application/grpc" };
  const meet = () =>
    (server as unknown as { _streamHandler(i: unknown[], s: Duplex, h: object): void })._streamHandler(
      [],
      stream,
      headers,
    );
  expect(meet).toThrow("destroyed");
  passOverDeadStreams(server);
  expect(meet).not.toThrow();
});
