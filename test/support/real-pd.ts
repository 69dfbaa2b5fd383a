import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { buildPinned } from "./go.ts";
import { freePorts } from "./tikv-processes.ts";

/** Three members of a real PD, without a cluster yet. */
export interface RealPd extends AsyncDisposable {
  /** `host:port` of the members. */
  readonly endpoints: readonly string[];
  /** @returns the answer of the first member that gives one; its body as JSON */
  ask(path: string, init?: RequestInit): Promise<any>;
  /** Ends the member that leads, for good. @returns its name */
  killLeader(): Promise<string>;
}

const MEMBERS = ["pd0", "pd1", "pd2"];
const ASK_TIMEOUT_MS = 5_000;

/** Builds PD as it was published as a Go module (test/tools/pd) and starts it; healthy when this resolves. */
export async function realPd(): Promise<RealPd> {
  await using scope = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "real-pd-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const tags = ["-tags", "without_dashboard"];
  const program = await buildPinned("test/tools/pd", "github.com/tikv/pd/cmd/pd-server", folder, tags);
  const ports = await freePorts(2 * MEMBERS.length);
  const client = (at: number) => `127.0.0.1:${ports[2 * at]}`;
  const peer = (at: number) => `http://127.0.0.1:${ports[2 * at + 1]}`;
  const processes = new Map<string, ChildProcess>();
  MEMBERS.forEach((name, at) => {
    const flags = [
      `--name=${name}`,
      `--data-dir=${join(folder, name)}`,
      `--client-urls=http://${client(at)}`,
      `--peer-urls=${peer(at)}`,
      `--initial-cluster=${MEMBERS.map((other, index) => `${other}=${peer(index)}`).join()}`,
    ];
    // Its etcd registers a pattern that newer Go's HTTP server refuses.
    const env = { ...process.env, GODEBUG: "httpmuxgo121=1" };
    const child = spawn(program, flags, { stdio: "ignore", env });
    processes.set(name, child);
    scope.defer(() => ended(child));
  });
  const endpoints = MEMBERS.map((_, at) => client(at));
  const ask: RealPd["ask"] = async (path, init = {}) => {
    const failures: string[] = [];
    for (const endpoint of endpoints) {
      const url = `http://${endpoint}/pd/api/v1/${path}`;
      const reply = await fetch(url, { ...init, signal: AbortSignal.timeout(ASK_TIMEOUT_MS) }).catch(String);
      if (typeof reply !== "string" && reply.ok) return await reply.json();
      failures.push(typeof reply === "string" ? reply : `${reply.status} ${await reply.text()}`);
    }
    throw new Error(`PD, ${path}: ${failures.join("; ")}`);
  };
  const healthy = async () => ((await ask("health")) as { health: boolean }[]).every(({ health }) => health);
  await waitFor(() => healthy().catch(() => false), {
    clock: systemClock,
    timeoutMs: 60_000,
    everyMs: 200,
    what: "a real PD",
  });
  const whole = scope.move();
  return {
    endpoints,
    ask,
    async killLeader() {
      const { name } = (await ask("leader")) as { name: string };
      await ended(processes.get(name));
      return name;
    },
    [Symbol.asyncDispose]: () => whole.disposeAsync(),
  };
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
