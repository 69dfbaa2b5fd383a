/**
 * An engine in a process of its own that outlives whoever uses it: many containers in memory behind the process
 * engine's socket. Every act takes a while before and after it takes effect, and is a line in a file.
 *
 * `node counting-engine.ts <socket> <file of acts> <containers>`
 */
import { appendFileSync } from "node:fs";
import { systemClock } from "../../../harness/base/clock.ts";
import { serve } from "../../../harness/engine/process/server.ts";
import type { Supervisor } from "../../../harness/engine/process/supervisor.ts";
import type { Component } from "../../../harness/protocol.ts";
import { ScriptedEngine } from "../scripted-engine.ts";

const [socket = "", acts = "", containers = "0"] = process.argv.slice(2);
const TAKES_MS = 15;
const signal = new AbortController().signal;
const engine = new ScriptedEngine(
  systemClock,
  Array.from({ length: Number(containers) }, (_, n) => ({
    component: `c${n}`,
    exec: async () => ({ exitCode: 0, stdout: "", stderr: "" }),
  })),
);

async function act<T>(what: string, component: string, run: (component: Component) => Promise<T>): Promise<T> {
  await systemClock.sleep(TAKES_MS);
  const before = await engine.inspect(component as Component, signal);
  const done = await run(component as Component);
  const after = await engine.inspect(component as Component, signal);
  const changed = before.status !== after.status || what === "restart" || what === "exec";
  appendFileSync(acts, `${JSON.stringify({ what, component, changed })}\n`);
  await systemClock.sleep(TAKES_MS);
  return done;
}

const supervised = {
  network: engine.network,
  list: () => engine.list(signal),
  inspect: (component: string) => engine.inspect(component as Component, signal),
  start: (component: string) => act("start", component, (c) => engine.start(c, signal)),
  stop: (component: string) => act("stop", component, (c) => engine.stop(c, {}, signal)),
  kill: (component: string) => act("kill", component, (c) => engine.kill(c, {}, signal)),
  restart: (component: string) => act("restart", component, (c) => engine.restart(c, {}, signal)),
  pause: (component: string) => act("pause", component, (c) => engine.pause(c, signal)),
  unpause: (component: string) => act("unpause", component, (c) => engine.unpause(c, signal)),
  exec: (component: string, _: unknown, argv: readonly string[]) =>
    act("exec", component, (c) => engine.exec(c, argv, { timeoutMs: 1_000 }, signal)),
  listen: () => () => {},
};
await serve(supervised as unknown as Supervisor, { path: socket, ownership: null });
process.stdout.write("ready\n");
process.stdin.on("end", () => process.exit(0)).resume();
