/**
 * The supervisor of one instance: `node supervisor-main.ts <config file>`, started in a session of its own by
 * `startSupervisor`. Says `ready` (or why not) over the channel to its starter. Ends with all its processes when the
 * last owner is gone without having detached it, or on SIGTERM.
 */
import { readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { once } from "node:events";
import path from "node:path";
import { systemClock } from "../../base/clock.ts";
import { HarnessError, errorText } from "../../base/errors.ts";
import { jsonLog } from "../../base/log.ts";
import { engineSocket, ownerSocket } from "./paths.ts";
import { startReaper } from "./reaper.ts";
import { serve, type Ownership } from "./server.ts";
import { supervisorConfigSchema, type SupervisorConfig } from "./spec.ts";
import { Supervisor } from "./supervisor.ts";

const log = jsonLog();

async function main(configFile: string): Promise<void> {
  const config = supervisorConfigSchema.parse(JSON.parse(readFileSync(configFile, "utf8")));
  // First of all: until this has worked the block of ports may be somebody else's.
  if (config.guardPort !== null) await guard(config.guardPort);
  const sockets = [engineSocket(config.socketDir), ownerSocket(config.socketDir)] as const;
  for (const socket of sockets) await removeDead(socket);
  const supervisor = new Supervisor(config, { clock: systemClock, log, reaper: startReaper() });
  const end = onlyOnce(async (why: string) => {
    log.info("closing", { why });
    await supervisor.close();
    for (const socket of sockets) rmSync(socket, { force: true });
    if (config.socketDir !== config.stateDir) rmSync(config.socketDir, { recursive: true, force: true });
  });
  const exit = (why: string) => void end(why).finally(() => process.exit(0));
  process.on("SIGTERM", () => exit("SIGTERM"));
  process.on("SIGINT", () => exit("SIGINT"));
  process.on("uncaughtException", (error) => {
    log.error("uncaught", { message: errorText(error), stack: error.stack });
    exit("uncaught");
  });
  await serve(supervisor, { path: sockets[0], ownership: null });
  await serve(supervisor, { path: sockets[1], ownership: ownership(end, exit) });
  supervisor.startAll();
  process.send?.({ ready: true });
  log.info("ready", { instance: config.instance, components: names(config) });
}

/** Held by the channel to the starter first, then by whoever keeps a connection to the owner's socket open. */
function ownership(end: (why: string) => Promise<void>, exit: (why: string) => void): Ownership {
  let holders = 1;
  let detached = false;
  const letGo = (): void => {
    holders--;
    if (holders === 0 && !detached) exit("no owner");
  };
  if (process.connected) process.once("disconnect", letGo);
  else letGo();
  return {
    hold() {
      holders++;
      return letGo;
    },
    detach: () => void (detached = true),
    async tearDown() {
      await end("torn down");
      // The answer goes out first.
      setImmediate(() => exit("torn down"));
    },
  };
}

/** What a killed supervisor left; a living one is not pushed aside. */
async function removeDead(socketPath: string): Promise<void> {
  const connection = connect(socketPath);
  try {
    await once(connection, "connect");
  } catch {
    return rmSync(socketPath, { force: true });
  } finally {
    connection.destroy();
  }
  throw new HarnessError("already-running", `the instance in ${path.dirname(socketPath)} runs already`);
}

async function guard(port: number): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ port, host: "127.0.0.1" });
  try {
    await once(server, "listening");
  } catch (error) {
    throw new HarnessError("port-taken", `port ${port} on 127.0.0.1 is taken`, { cause: error });
  }
  return server;
}

function onlyOnce(run: (why: string) => Promise<void>): (why: string) => Promise<void> {
  let running: Promise<void> | null = null;
  return (why) => (running ??= run(why));
}

const names = (config: SupervisorConfig): string[] => config.nodes.map((node) => node.component);

try {
  await main(process.argv[2] ?? "");
} catch (error) {
  log.error("not-started", { message: errorText(error) });
  const code = error instanceof HarnessError ? error.code : "internal";
  process.send?.({ error: { code, message: errorText(error) } }, () => process.exit(1));
  if (process.send === undefined) process.exit(1);
}
