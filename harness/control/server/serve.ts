import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { getRequestListener } from "@hono/node-server";
import { errorText, HarnessError } from "../../base/errors.ts";
import { createControlApp } from "./app.ts";
import { openCore } from "./core.ts";
import type { ControlServer, ControlServerDeps, ControlServerOptions, ListenOptions } from "./options.ts";
import { capabilities } from "./probe.ts";

/**
 * Opens the queue, ends what an earlier start left in its middle, and listens.
 *
 * @throws HarnessError `already-running` (the folder has a server), `port-taken`, `store-failed`.
 */
export async function serveControl(
  options: ControlServerOptions,
  listen: ListenOptions,
  deps: ControlServerDeps,
  signal: AbortSignal,
): Promise<ControlServer> {
  const scope = new AsyncDisposableStack();
  try {
    const servers: Server[] = [];
    // In reverse: nothing new comes in; what runs ends, and what waits is told; then the connections go.
    scope.defer(() => servers.forEach((server) => server.closeAllConnections()));
    const core = scope.use(await openCore(options, deps, signal));
    const app = createControlApp(core);
    const listener = getRequestListener(app.fetch as never);
    scope.defer(() => servers.forEach((server) => void server.close()));
    const open = async (where: Parameters<Server["listen"]>[0], mask: number | null): Promise<Server> => {
      const server = createServer(
        { keepAliveTimeout: 65_000 },
        (request, response) => void listener(request, response),
      );
      // Streams and long polls are silent for as long as nothing happens; what a request's head may take is bounded.
      server.requestTimeout = 120_000;
      await listening(server, where, mask);
      servers.push(server);
      return server;
    };
    let url: string | null = null;
    if (listen.tcp != null) {
      const { port, address, family } = (await open(listen.tcp, null)).address() as AddressInfo;
      url = `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
    }
    const socketPath = listen.socket?.path ?? null;
    if (listen.socket != null) {
      // We hold the lock of the folder, so a socket that is there was left by a start that is gone.
      rmSync(listen.socket.path, { force: true });
      await open({ path: listen.socket.path }, 0o777 & ~(listen.socket.mode ?? 0o600));
    }
    let features = (await capabilities(core)).features;
    return {
      url,
      socketPath,
      serverId: core.serverId,
      get bootEpoch() {
        return core.epoch.current;
      },
      features: () => {
        void capabilities(core).then((now) => (features = now.features));
        return features;
      },
      [Symbol.asyncDispose]: async () => {
        await scope.disposeAsync();
      },
    };
  } catch (error) {
    await scope.disposeAsync();
    throw error;
  }
}

async function listening(server: Server, where: Parameters<Server["listen"]>[0], mask: number | null): Promise<void> {
  // The mask makes a socket private from its first instant.
  const before = mask === null ? null : process.umask(mask);
  try {
    server.listen(where);
    await once(server, "listening");
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === "EADDRINUSE";
    throw new HarnessError(taken ? "port-taken" : "store-failed", `cannot listen: ${errorText(cause)}`, { cause });
  } finally {
    if (before !== null) process.umask(before);
  }
}
