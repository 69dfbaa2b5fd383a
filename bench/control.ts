import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { controlClient, openControlEngine, type ControlClient } from "../harness/control/client/index.ts";
import type { TokenRecord } from "../harness/control/tokens/index.ts";
import { openProcessEngine } from "../harness/engine/process/client.ts";
import { engineSocket } from "../harness/engine/process/paths.ts";
import { startSupervisor } from "../harness/engine/process/start-supervisor.ts";
import type { Component, Deps, Engine } from "../harness/protocol.ts";
import { quantile } from "../harness/stats/quantile.ts";
import { DEPLOYMENT } from "../test/support/control-server.ts";
import { suiteNode } from "../test/support/suite-nodes.ts";
import type { Measure } from "./measure.ts";

const ROUNDS = 1_500;
const WARM_UP = 200;
const WAKES = 300;
const AT_ONCE = 16;
const LOAD_MS = 5_000;
const NODE = "steady" as Component;
/** `sysconf(_SC_CLK_TCK)`, 100 on every Linux. */
const TICKS_PER_SECOND = 100;

interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly tcp: ControlClient;
  readonly socket: ControlClient;
}

/**
 * What a signed command costs beside the engine call that it makes. Everything is asked in turns by one program. The
 * server runs twice: with its folder on disk, where the audit and the queue wait for it (two fsyncs of the audit for
 * each command, two more of the queue for a write), and in memory, where they cost nothing: the difference is the price
 * of durability.
 */
export async function benchControl(deps: Deps): Promise<readonly Measure[]> {
  const signal = new AbortController().signal;
  await using scope = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const nodes = [suiteNode(folder, NODE, "steady")];
  const project = { instance: "bench", project: "bench", network: "bench_default" };
  const { engine: owner } = await startSupervisor({ ...project, stateDir: folder, nodes }, signal);
  scope.defer(async () => {
    await owner.tearDown();
    await owner[Symbol.asyncDispose]();
  });
  const socketPath = engineSocket(folder);
  const bare = scope.use(await openProcessEngine({ socketPath }, signal));
  const memory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "bench-"));
  scope.defer(() => rmSync(memory, { recursive: true, force: true }));
  const onDisk = scope.use(await startServer(socketPath, join(folder, "control"), deps));
  const inMemory = scope.use(await startServer(socketPath, join(memory, "control"), deps));
  const overhead = await overheads(bare, { onDisk, inMemory }, deps, signal);
  return [...overhead, ...(await throughput(inMemory, deps, signal)), ...(await wakeUps(onDisk, deps, signal))];
}

async function overheads(
  bare: Engine,
  { onDisk, inMemory }: { readonly onDisk: Server; readonly inMemory: Server },
  deps: Deps,
  signal: AbortSignal,
): Promise<readonly Measure[]> {
  const through = (client: ControlClient) => openControlEngine({ client }, signal);
  const engines = {
    bare,
    TCP: await through(inMemory.tcp),
    "Unix socket": await through(inMemory.socket),
    "TCP, audit on disk": await through(onDisk.tcp),
    "Unix socket, audit on disk": await through(onDisk.socket),
  };
  const acts = {
    read: (engine: Engine) => engine.inspect(NODE, signal),
    write: (engine: Engine) => engine.unpause(NODE, signal),
  };
  const measures: Measure[] = [];
  for (const [kind, act] of Object.entries(acts)) {
    const times = Object.fromEntries(Object.keys(engines).map((name) => [name, [] as number[]]));
    for (let round = 0; round < ROUNDS + WARM_UP; round++)
      for (const [name, engine] of Object.entries(engines)) {
        const began = deps.clock.monotonic();
        await act(engine);
        if (round >= WARM_UP) times[name]?.push(deps.clock.monotonic() - began);
      }
    const bareTimes = times["bare"] ?? [];
    for (const [name, took] of Object.entries(times)) {
      const label = name === "bare" ? `${kind}, bare engine call` : `${kind}, signed over ${name}`;
      measures.push({ name: `${label}, p50`, value: quantile(took, 0.5), unit: "ms" });
      measures.push({ name: `${label}, p99`, value: quantile(took, 0.99), unit: "ms" });
      if (name !== "bare")
        measures.push({
          name: `${label}, overhead at p50`,
          value: quantile(took, 0.5) - quantile(bareTimes, 0.5),
          unit: "ms",
        });
    }
  }
  return measures;
}

/** By the processor time that the server used, so that what else runs on the machine does not count. */
async function throughput(server: Server, deps: Deps, signal: AbortSignal): Promise<readonly Measure[]> {
  const measures: Measure[] = [];
  for (const [where, client] of [
    ["TCP", server.tcp],
    ["Unix socket", server.socket],
  ] as const) {
    let [done, going] = [0, true];
    const [cpuBefore, began] = [cpuSeconds(server.pid), deps.clock.monotonic()];
    const all = Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (going) {
          await client.execute("inspect", { component: NODE }, {}, signal);
          done += 1;
        }
      }),
    );
    await deps.clock.sleep(LOAD_MS);
    going = false;
    await all;
    const seconds = (deps.clock.monotonic() - began) / 1_000;
    measures.push({ name: `commands, ${AT_ONCE} at once, over ${where}`, value: done / seconds, unit: "1/s" });
    const cpu = cpuSeconds(server.pid) - cpuBefore;
    measures.push({ name: `commands for a second of one core, over ${where}`, value: done / cpu, unit: "1/s" });
  }
  return measures;
}

/** From the moment in which a command is sent to the queue until whoever waits for one has it. */
async function wakeUps(server: Server, deps: Deps, signal: AbortSignal): Promise<readonly Measure[]> {
  const took: number[] = [];
  for (let n = 0; n < WAKES; n++) {
    const waiting = server.tcp.wait(30_000, signal).then((command) => ({ command, at: deps.clock.monotonic() }));
    await deps.clock.sleep(10 + (n % 7));
    const began = deps.clock.monotonic();
    const id = await server.socket.enqueue("unpause", { component: NODE }, { executor: "poller" }, signal);
    const { command, at } = await waiting;
    if (command?.command_id !== id) throw new Error("another command came");
    took.push(at - began);
    await server.tcp.report({ command_id: id, status: "success", completed_at: "2026-01-01T00:00:00Z" }, signal);
  }
  return [
    { name: "long poll: command enqueued -> poller has it, p50", value: quantile(took, 0.5), unit: "ms" },
    { name: "long poll: command enqueued -> poller has it, p99", value: quantile(took, 0.99), unit: "ms" },
  ];
}

async function startServer(engine: string, folder: string, deps: Deps): Promise<Server> {
  const program = join(import.meta.dirname, "programs", "control-server.ts");
  const child = spawn(process.execPath, [program, engine, folder], { stdio: ["pipe", "pipe", "inherit"] });
  const line = await firstLine(child);
  const said = JSON.parse(line) as { readonly url: string; readonly socketPath: string; readonly token: TokenRecord };
  const who = {
    plane: "compose_agent",
    agentId: "bench",
    deploymentHash: DEPLOYMENT,
    token: () => said.token,
  } as const;
  const tcp = controlClient({ ...who, url: said.url }, deps);
  const socket = controlClient({ ...who, socketPath: said.socketPath }, deps);
  return {
    pid: child.pid ?? 0,
    tcp,
    socket,
    async [Symbol.asyncDispose]() {
      await tcp[Symbol.asyncDispose]();
      await socket[Symbol.asyncDispose]();
      const gone = once(child, "exit");
      child.stdin?.end();
      await gone;
    },
  };
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) return line;
  throw new Error("the server did not start");
}

/** User and system time of a process. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
