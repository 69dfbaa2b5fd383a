/**
 * A control server in a process of its own, over the engine behind a socket: `control-server.ts <engine socket>
 * <folder>`. Says where it listens and with which token the agent's plane signs; ends with its standard input.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { openProcessEngine } from "../../harness/engine/process/client.ts";
import { startControl } from "../../test/support/control-server.ts";

const [engineSocket = "", folder = ""] = process.argv.slice(2);
if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
const engine = await openProcessEngine({ socketPath: engineSocket }, new AbortController().signal);
const socketPath = join(folder, "control.sock");
const control = await startControl({
  engine,
  folder,
  limits: { requestsPerSecond: 1e6, burst: 1e6 },
  listen: { tcp: { host: "127.0.0.1", port: 0 }, socket: { path: socketPath } },
});
const token = control.tokens.current("compose_agent");
process.stdout.write(`${JSON.stringify({ url: control.server.url, socketPath, token })}\n`);
process.stdin.on("end", () => void control[Symbol.asyncDispose]()).resume();
