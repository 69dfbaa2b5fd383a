import { createServer, type IncomingMessage, type Server } from "node:http";
import { connect, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Log } from "../../protocol.ts";

export interface ProxyOptions {
  /** `host:port` in lower case; everything else is refused. */
  readonly allowed: readonly string[];
  /** Tunnels open at once. */
  readonly maxTunnels?: number;
  /** A tunnel over which nothing passes for so long is closed: a model may think for minutes before its first byte. */
  readonly idleMs?: number;
  /** How long a client may take to take leave once the tunnel is over, and a host to be reached. */
  readonly promptMs?: number;
}

/** Clients at once, with tunnels and without. */
const MOST_CLIENTS = 256;

/**
 * The agent's only way out of its networks: `CONNECT host:port` (RFC 9110, 9.3.6) to the hosts that are allowed, by name
 * as the client wrote it. What passes is TLS between the two ends; nothing here can read it. Every other request is
 * answered 405, every other host 403.
 */
export function connectProxy(options: ProxyOptions, log: Log): Server {
  const { allowed, maxTunnels = 64, idleMs = 15 * 60_000, promptMs = 20_000 } = options;
  const tunnels = new Set<Duplex>();
  const refusals = new Refusals(log);
  const timeouts = { headersTimeout: promptMs, requestTimeout: promptMs };
  const server = createServer({ maxHeaderSize: 8_192, ...timeouts }, (_, response) => {
    response.writeHead(405, { allow: "CONNECT", connection: "close" }).end();
  });
  server.maxConnections = MOST_CLIENTS;
  server.on("connect", (request: IncomingMessage, client: Duplex, first: Buffer) => {
    // Until the tunnel stands nobody else listens for errors of either end, and an unheard one ends the program.
    client.on("error", () => client.destroy());
    const target = (request.url ?? "").toLowerCase();
    if (!allowed.includes(target)) {
      refusals.tell(target);
      return leave(client, promptMs, "HTTP/1.1 403 Forbidden\r\n\r\n");
    }
    if (tunnels.size >= maxTunnels) return leave(client, promptMs, "HTTP/1.1 503 Service Unavailable\r\n\r\n");
    tunnels.add(client);
    client.once("close", () => tunnels.delete(client));
    openTunnel(target, { client, first, idleMs, promptMs }, log);
  });
  return server;
}

/** What was on its way when we took leave may still come. */
const LAST_PIECES = 8;

/**
 * Says the last word. Who has taken it and does not hang up is hung up on, whether silent or talking on: HTTP's own
 * limits end with CONNECT.
 */
function leave(client: Duplex, promptMs: number, last = ""): void {
  if (client.destroyed) return;
  if (client instanceof Socket) client.setTimeout(promptMs, () => client.destroy());
  let pieces = 0;
  client.on("data", () => ++pieces > LAST_PIECES && client.destroy());
  client.end(last);
}

/** One line for a target that is asked for again and again: who is refused decides how often. */
class Refusals {
  readonly #log: Log;
  #last = "";
  #count = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  tell(target: string): void {
    this.#count = target === this.#last ? this.#count + 1 : 1;
    this.#last = target;
    if (Number.isInteger(Math.log2(this.#count)))
      this.#log.warn("proxy.refused", { target: target.slice(0, 200), times: this.#count });
  }
}

interface TunnelStart {
  readonly client: Duplex;
  /** What the client sent after its request without waiting for the answer. */
  readonly first: Buffer;
  readonly idleMs: number;
  readonly promptMs: number;
}

function openTunnel(target: string, { client, first, idleMs, promptMs }: TunnelStart, log: Log): void {
  const end = target.lastIndexOf(":");
  const host = target.slice(0, end).replace(/^\[|\]$/g, "");
  const upstream: Socket = connect({ host, port: Number(target.slice(end + 1)) });
  let open = false;
  upstream.setTimeout(promptMs, () => upstream.destroy(open ? undefined : new Error("not reached in time")));
  upstream.once("connect", () => {
    open = true;
    upstream.setTimeout(idleMs);
    log.info("proxy.opened", { target });
    client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    upstream.write(first);
    upstream.pipe(client);
    client.pipe(upstream);
  });
  upstream.once("error", (error: NodeJS.ErrnoException) => {
    log.warn("proxy.failed", { target, code: error.code ?? "unknown" });
    if (open) client.destroy();
    else leave(client, promptMs, "HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  upstream.once("close", () => leave(client, promptMs));
  client.once("close", () => upstream.destroy());
}
