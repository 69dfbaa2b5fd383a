import type { IncomingMessage, ServerResponse } from "node:http";

/** What one request to the status port is answered with. */
export interface StatusReply {
  readonly status: number;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export const EMPTY: StatusReply = { status: 200, body: "" };
export const NOT_FOUND: StatusReply = { status: 404, body: "path not found" };

/** Requests that change something are small; a larger body is not read to its end. */
const MAX_BODY_BYTES = 1 << 20;

export function textReply(status: number, body: string): StatusReply {
  return { status, body };
}

/** @param body JSON text */
export function jsonReply(body: string): StatusReply {
  return { status: 200, body, headers: { "content-type": "application/json" } };
}

export function send(response: ServerResponse, { status, body, headers = {} }: StatusReply): void {
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

/** @throws RangeError when there is too much of it */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw new RangeError("length limit exceeded");
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
