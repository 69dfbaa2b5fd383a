import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { http } from "./builtin-http.ts";
import { dial, parseAddress } from "./dial.ts";
import type { LinkRules } from "./link-rules.ts";

export interface NodeHttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * One HTTP request to another node, through the link layer; every request has a connection of its own.
 * `peer` as in `DialTarget`.
 *
 * @throws the connection's error; the signal's reason.
 */
export async function nodeHttp(
  options: {
    readonly url: string;
    readonly method: string;
    readonly headers?: OutgoingHttpHeaders;
    readonly body?: Buffer;
    readonly peer?: string | null;
  },
  rules: LinkRules,
  signal: AbortSignal,
): Promise<NodeHttpReply> {
  const target = { ...parseAddress(options.url), ...(options.peer === undefined ? {} : { peer: options.peer }) };
  const duplex = await dial(target, rules, signal);
  const { promise, resolve, reject } = Promise.withResolvers<NodeHttpReply>();
  const outgoing = http.request(options.url, {
    method: options.method,
    headers: {
      ...options.headers,
      connection: "close",
      ...(options.body === undefined ? {} : { "content-length": options.body.length }),
    },
    agent: new OneConnection(duplex),
    signal,
  });
  outgoing.on("error", reject);
  outgoing.on("response", (reply) => {
    const chunks: Buffer[] = [];
    reply.on("data", (chunk: Buffer) => chunks.push(chunk));
    reply.on("error", reject);
    reply.on("end", () =>
      resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(chunks) }),
    );
  });
  outgoing.end(options.body);
  try {
    return await promise;
  } finally {
    duplex.destroy();
  }
}

class OneConnection extends http.Agent {
  readonly #duplex: Duplex;
  constructor(duplex: Duplex) {
    super({ keepAlive: false });
    this.#duplex = duplex;
  }
  override createConnection(): Duplex {
    return this.#duplex;
  }
}
