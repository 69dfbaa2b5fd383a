import { createServer, type IncomingMessage, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Log } from "../../protocol.ts";

export interface ProxyOptions {
  /** `host:port` in lower case; everything else is refused. */
  readonly allowed: readonly string[];
  /** Tunnels open at once. */
  readonly maxTunnels?: number;
  /** A tunnel over which nothing passes for so long is closed: a model may think for minutes before its first byte. */
  readonly idleMs?: number;
}

/**
 * The agent's only way out of its networks: `CONNECT host:port` (RFC 9110, 9.3.6) to the hosts that are allowed, by name
 * as the client wrote it. What passes is TLS between the two ends; nothing here can read it. Every other request is
 * answered 405, every other host 403.
 */
export function connectProxy(options: ProxyOptions, log: Log): Server {
  const { allowed, maxTunnels = 64, idleMs = 15 * 60_000 } = options;
  const tunnels = new Set<Duplex>();
  const server = createServer({ maxHeaderSize: 8_192 }, (_, response) => {
    response.writeHead(405, { allow: "CONNECT", connection: "close" }).end();
  });
  server.on("connect", (request: IncomingMessage, client: Duplex, first: Buffer) => {
    // Until the tunnel stands nobody else listens for errors of either end, and an unheard one ends the program.
    client.on("error", () => client.destroy());
    const target = (request.url ?? "").toLowerCase();
    if (!allowed.includes(target)) {
      log.warn("proxy.refused", { target: target.slice(0, 200) });
      return void client.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    }
    if (tunnels.size >= maxTunnels) return void client.end("HTTP/1.1 503 Service Unavailable\r\n\r\n");
    tunnels.add(client);
    client.once("close", () => tunnels.delete(client));
    openTunnel(target, { client, first, idleMs }, log);
  });
  return server;
}

interface TunnelStart {
  readonly client: Duplex;
  /** What the client sent after its request without waiting for the answer. */
  readonly first: Buffer;
  readonly idleMs: number;
}

function openTunnel(target: string, { client, first, idleMs }: TunnelStart, log: Log): void {
  const end = target.lastIndexOf(":");
  const host = target.slice(0, end).replace(/^\[|\]$/g, "");
  const upstream: Socket = connect({ host, port: Number(target.slice(end + 1)) });
  let open = false;
  upstream.setTimeout(idleMs, () => upstream.destroy());
  upstream.once("connect", () => {
    open = true;
    log.info("proxy.opened", { target });
    client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    upstream.write(first);
    upstream.pipe(client);
    client.pipe(upstream);
  });
  upstream.once("error", (error: NodeJS.ErrnoException) => {
    log.warn("proxy.failed", { target, code: error.code ?? "unknown" });
    if (open) client.destroy();
    else client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  upstream.once("close", () => client.end());
  client.once("close", () => upstream.destroy());
}
