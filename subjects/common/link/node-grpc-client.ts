import { status as Code, type MethodDefinition } from "@grpc/grpc-js";
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { dial, type DialTarget } from "./dial.ts";
import { FrameReader } from "./frame-reader.ts";
import type { LinkRules } from "./link-rules.ts";

/** The server's own status, or one made here when there was no answer. `code` is one of grpc-js' `status`. */
export class GrpcError extends Error {
  readonly code: number;
  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "GrpcError";
    this.code = code;
  }
}

/** Messages in both directions until either side ends. */
export interface BidiCall<Request, Response> extends AsyncDisposable {
  /** @returns false when the other side does not keep up. Dropped when the call is over. */
  write(request: Request): boolean;
  /** Ends with the call. @throws GrpcError when the call ended with a status other than OK. */
  readonly responses: AsyncIterable<Response>;
  end(): void;
}

/**
 * gRPC for the nodes' own calls to one other node, over a connection behind the link layer (which grpc-js' clients
 * cannot use). Dials with the first call and again after the connection broke; no retries of calls.
 */
export class NodeGrpcClient implements AsyncDisposable {
  readonly #target: DialTarget;
  readonly #rules: LinkRules;
  readonly #closed = new AbortController();
  #session: Promise<ClientHttp2Session> | null = null;

  constructor(target: DialTarget, rules: LinkRules) {
    this.#target = target;
    this.#rules = rules;
  }

  /** @throws GrpcError (`UNAVAILABLE` when there is no connection); the signal's reason when it aborts. */
  async unary<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    const stream = await this.#open(method.path, signal);
    const aborted = () => breakOff(stream);
    signal.addEventListener("abort", aborted, { once: true });
    try {
      stream.end(framed(method.requestSerialize(request)));
      let response: Response | null = null;
      for await (const message of messages(stream)) response = method.responseDeserialize(message);
      if (response === null) throw new GrpcError(Code.UNAVAILABLE, "the call ended without an answer");
      return response;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", aborted);
      stream.close();
    }
  }

  /** The signal breaks off the call at any time. @throws GrpcError `UNAVAILABLE` when there is no connection. */
  async bidi<Request, Response>(
    method: MethodDefinition<Request, Response>,
    signal: AbortSignal,
  ): Promise<BidiCall<Request, Response>> {
    const stream = await this.#open(method.path, signal);
    const aborted = () => breakOff(stream);
    signal.addEventListener("abort", aborted, { once: true });
    stream.once("close", () => signal.removeEventListener("abort", aborted));
    const responses = async function* () {
      for await (const message of messages(stream)) yield method.responseDeserialize(message);
    };
    return {
      write: (request) => (stream.writable ? stream.write(framed(method.requestSerialize(request))) : true),
      responses: responses(),
      end: () => void stream.end(),
      [Symbol.asyncDispose]: async () => breakOff(stream),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new GrpcError(Code.CANCELLED, "the client was closed"));
    const session = await this.#session?.catch(() => null);
    session?.destroy();
  }

  async #open(path: string, signal: AbortSignal): Promise<ClientHttp2Stream> {
    let session: ClientHttp2Session;
    try {
      session = await abortable(this.#connected(), signal);
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof GrpcError) throw cause;
      const { host, port } = this.#target;
      throw new GrpcError(Code.UNAVAILABLE, `no connection to ${host}:${port}: ${(cause as Error).message}`, { cause });
    }
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_TE]: "trailers",
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
    });
    stream.on("error", () => {});
    return stream;
  }

  /** The one session; it outlives whoever asked first. */
  #connected(): Promise<ClientHttp2Session> {
    if (this.#session !== null) return this.#session;
    const forget = () => {
      if (this.#session === session) this.#session = null;
    };
    const session = (async () => {
      const duplex = await dial(this.#target, this.#rules, this.#closed.signal);
      const { host, port } = this.#target;
      const opened = connect(`http://${host}:${port}`, { createConnection: () => duplex });
      opened.on("error", forget);
      opened.on("close", forget);
      opened.on("goaway", forget);
      return opened;
    })();
    this.#session = session;
    session.catch(forget);
    return session;
  }
}

/** Ends it here and now. `close` alone waits until the connection has taken the frame, which a held one never does. */
function breakOff(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL);
  stream.destroy(new GrpcError(Code.CANCELLED, "the call was broken off"));
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Uncompressed length-prefixed message (gRPC over HTTP/2, "Length-Prefixed-Message"). */
function framed(message: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** Every message of a call. @throws GrpcError unless it ended with OK. */
async function* messages(stream: ClientHttp2Stream): AsyncGenerator<Buffer, void> {
  let status: { code: number; message: string } | null = null;
  const read = (headers: Record<string, unknown>) => {
    if (headers["grpc-status"] === undefined) return;
    const text = headers["grpc-message"];
    status = {
      code: Number(headers["grpc-status"]),
      message: typeof text === "string" ? decodeURIComponent(text) : "",
    };
  };
  stream.on("response", read);
  stream.on("trailers", read);
  const reader = new FrameReader(5);
  let broken: unknown = null;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      reader.push(chunk);
      for (let message = reader.next(); message !== null; message = reader.next()) yield message;
    }
  } catch (error) {
    broken = error;
  }
  const ended = status as { code: number; message: string } | null;
  if (ended === null) throw new GrpcError(Code.UNAVAILABLE, "the connection broke", { cause: broken });
  if (ended.code !== Code.OK) throw new GrpcError(ended.code, ended.message);
}
