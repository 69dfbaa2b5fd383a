import { ServerCredentials, type Server as GrpcServer } from "@grpc/grpc-js";
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { errorText, HarnessError } from "../../../harness/base/errors.ts";
import type { Log } from "../../../harness/base/log.ts";
import { http as builtinHttp } from "../link/builtin-http.ts";
import { heldDuplex, type HeldDuplex } from "../link/held-duplex.ts";
import type { LinkRules } from "../link/link-rules.ts";
import { PEER_PREFACE, PeerConnection, type Hello } from "../link/peer-connection.ts";
import { passOverDeadStreams } from "./dead-streams.ts";

export interface OnePortOptions {
  readonly host: string;
  readonly port: number;
  readonly rules: LinkRules;
  readonly log: Log;
  /** Protocols that this port speaks; a connection in another one is closed. */
  readonly http?: RequestListener;
  readonly grpc?: GrpcServer;
  /** Frames from a node that has said who it is. It returns when it is done with the connection. */
  peer?(hello: Hello, frames: AsyncIterable<Buffer>): Promise<void>;
}

export interface OnePortServer extends AsyncDisposable {
  readonly port: number;
  /** Closes the port and breaks every connection. */
  close(): Promise<void>;
}

const HTTP2_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * HTTP/1.1, gRPC and frames between nodes on one port, all behind the link layer: a connection's first bytes tell
 * which it is, are put back, and the connection goes to that protocol's server.
 *
 * @throws HarnessError `port-taken`
 */
export async function listenOnePort(options: OnePortOptions): Promise<OnePortServer> {
  const open = new Set<Socket>();
  const serve = protocols(options);
  const server = createServer({ noDelay: true }, (socket: Socket) => {
    let peer: string | null = null;
    const duplex = heldDuplex(socket, { rules: options.rules, peer: () => peer });
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    duplex.on("error", () => {});
    const named = (name: string) => {
      peer = name;
      duplex.reconsider();
    };
    serve(duplex, named).catch((error: unknown) => {
      options.log.debug("connection closed", { error: errorText(error) });
      duplex.destroy();
    });
  });
  await listen(server, options);
  const close = async () => {
    const closed = once(server, "close");
    server.close();
    // Past the link layer: who leaves does not wait for a rule to go.
    for (const socket of open) socket.destroy();
    await closed;
  };
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close };
}

type Serve = (duplex: HeldDuplex, named: (peer: string) => void) => Promise<void>;

function protocols({ http, grpc, peer }: OnePortOptions): Serve {
  const httpServer = http === undefined ? null : builtinHttp.createServer({ keepAliveTimeout: 0 }, http);
  if (grpc !== undefined) passOverDeadStreams(grpc);
  const grpcInjector = grpc?.createConnectionInjector(ServerCredentials.createInsecure()) ?? null;
  return async (duplex, named) => {
    const protocol = await sniff(duplex);
    if (protocol === "grpc" && grpcInjector !== null) return grpcInjector.injectConnection(duplex);
    if (protocol === "http" && httpServer !== null) return void httpServer.emit("connection", duplex);
    if (protocol === "peer" && peer !== undefined) return servePeer(duplex, named, peer);
    duplex.destroy();
  };
}

async function servePeer(
  duplex: HeldDuplex,
  named: (peer: string) => void,
  peer: NonNullable<OnePortOptions["peer"]>,
): Promise<void> {
  duplex.read(PEER_PREFACE.length);
  const connection = new PeerConnection(duplex);
  const frames = connection.frames("answered");
  const first = await frames.next();
  if (first.done === true) return;
  const hello = PeerConnection.parseHello(first.value);
  named(hello.name);
  connection.ping();
  try {
    await peer(hello, frames);
  } finally {
    connection.close();
  }
}

/** Leaves every byte in the stream. Resolves "http" for whatever is neither of the others; HTTP will refuse it. */
async function sniff(duplex: HeldDuplex): Promise<"http" | "grpc" | "peer"> {
  let seen = Buffer.alloc(0);
  for (;;) {
    const protocol = tell(seen);
    if (protocol !== null) {
      duplex.unshift(seen);
      return protocol;
    }
    const chunk = duplex.read() as Buffer | null;
    if (chunk !== null) seen = Buffer.concat([seen, chunk]);
    else if (duplex.readableEnded || duplex.destroyed) return "http";
    else await readable(duplex);
  }
}

function tell(seen: Buffer): "http" | "grpc" | "peer" | null {
  const startOf = (preface: Buffer) => {
    const length = Math.min(seen.length, preface.length);
    return seen.subarray(0, length).equals(preface.subarray(0, length)) ? length === preface.length : null;
  };
  if (seen.length === 0) return null;
  const [http2, peer] = [startOf(HTTP2_PREFACE), startOf(PEER_PREFACE)];
  if (http2 === true) return "grpc";
  if (peer === true) return "peer";
  return http2 === null && peer === null ? "http" : null;
}

function readable(duplex: HeldDuplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ["readable", "end", "close"]) duplex.off(event, done);
      resolve();
    };
    for (const event of ["readable", "end", "close"]) duplex.on(event, done);
  });
}

async function listen(server: Server, { host, port }: OnePortOptions): Promise<void> {
  server.listen({ host, port });
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new HarnessError("port-taken", `port ${port} on ${host} is taken`, { cause: error });
  }
}
