import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { createGunzip } from "node:zlib";

export interface HttpAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly contentType: string;
  readonly body: string;
}

/** @throws Error in the words of Go's client; the signal's reason when it aborts. */
export type HttpGet = (
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
) => Promise<HttpAnswer>;

const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** What operators and dashboards know from Go, by Node's codes. */
const GO_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  ECONNRESET: "read: connection reset by peer",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ETIMEDOUT: "connect: connection timed out",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "server misbehaving",
};

/**
 * A new connection each time: an old one to a frozen target stays open and silent. Not `fetch`, which refuses some ports
 * outright.
 */
export const httpGet: HttpGet = async (url, headers, signal) => {
  try {
    const reply = await answer(url, { ...headers, "accept-encoding": "gzip" }, signal);
    const packed = reply.headers["content-encoding"] === "gzip";
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of (packed ? reply.pipe(createGunzip()) : reply) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) throw new Error("body size limit exceeded");
      chunks.push(chunk);
    }
    const body = Buffer.concat(chunks).toString();
    const { statusCode: status = 0, statusMessage: statusText = "" } = reply;
    return { status, statusText, contentType: reply.headers["content-type"] ?? "", body };
  } catch (error) {
    signal.throwIfAborted();
    const { code, address, port, message } = error as NodeJS.ErrnoException & { address?: string; port?: number };
    const words = GO_WORDS[code ?? ""];
    const where = address === undefined ? new URL(url).host : `${address}:${port}`;
    throw new Error(`Get "${url}": ${words === undefined ? message : `dial tcp ${where}: ${words}`}`, { cause: error });
  }
};

function answer(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
  const client = url.startsWith("https:") ? https : http;
  return new Promise((resolve, reject) => {
    client.get(url, { headers, signal, agent: false }, resolve).on("error", reject);
  });
}
