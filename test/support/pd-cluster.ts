import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../harness/base/clock.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { noLinkRules } from "../../subjects/common/link/link-rules.ts";
import { nodeLog } from "../../subjects/tikv/stand-in/node-log.ts";
import { parsePdFlags } from "../../subjects/tikv/stand-in/pd/flags.ts";
import { startPd, type PdDeps } from "../../subjects/tikv/stand-in/pd/pd-server.ts";

export interface PdCluster extends AsyncDisposable {
  readonly names: readonly string[];
  readonly urls: Readonly<Record<string, string>>;
  readonly logs: string[];
  stop(name: string): Promise<void>;
  start(name: string, change?: Partial<Pick<PdDeps, "timeFactor" | "onFatal">>): Promise<void>;
  /** Waits until all members that run agree on a leader. */
  leader(signal: AbortSignal): Promise<string>;
  get(
    name: string,
    path: string,
    headers?: Record<string, string>,
  ): Promise<{ status: number; type: string | null; body: string }>;
  send(name: string, method: string, path: string, body?: unknown): Promise<{ status: number; body: string }>;
}

/** PD members inside this process, on ports of their own. */
export async function startPdCluster(options: {
  members: number;
  timeFactor: number;
  initialRegions?: number;
}): Promise<PdCluster> {
  const folder = mkdtempSync(join(tmpdir(), "pd-"));
  const names = Array.from({ length: options.members }, (_, n) => `pd${n}`);
  const ports = await freePorts(options.members * 2);
  const client = (n: number) => `http://127.0.0.1:${ports[n * 2]}`;
  const peer = (n: number) => `http://127.0.0.1:${ports[n * 2 + 1]}`;
  const urls = Object.fromEntries(names.map((name, n) => [name, client(n)]));
  const running = new Map<string, AsyncDisposable>();
  const logs: string[] = [];
  const start: PdCluster["start"] = async (name, change = {}) => {
    const n = names.indexOf(name);
    const flags = parsePdFlags(
      [
        `--name=${name}`,
        `--data-dir=${join(folder, name)}`,
        `--client-urls=${client(n)}`,
        `--peer-urls=${peer(n)}`,
        `--initial-cluster=${names.map((each, at) => `${each}=${peer(at)}`).join(",")}`,
        `--initial-regions=${options.initialRegions ?? 12}`,
      ],
      {},
    );
    const deps = {
      clock: systemClock,
      random: seededRandom(name),
      log: nodeLog({ clock: systemClock, write: (line) => logs.push(`${name} ${line}`) }),
      rules: noLinkRules(name),
      timeFactor: options.timeFactor,
      onFatal: (error: unknown) => {
        throw error;
      },
      ...change,
    };
    running.set(name, await startPd(flags, deps));
  };
  const stop = async (name: string) => {
    await running.get(name)?.[Symbol.asyncDispose]();
    running.delete(name);
  };
  const cluster: PdCluster = {
    names,
    urls,
    logs,
    start,
    stop,
    leader: (signal) =>
      waitFor(
        async () => {
          const answers = await Promise.all(
            [...running.keys()].map(async (name) => {
              const { status, body } = await cluster.get(name, "/pd/api/v1/leader");
              return status === 200 ? (JSON.parse(body) as { name: string } | null)?.name : null;
            }),
          );
          return answers.every((name) => name !== null && name === answers[0]) ? answers[0] : null;
        },
        { clock: systemClock, timeoutMs: 20_000, everyMs: 20, what: "a PD leader", signal },
      ),
    get: async (name, path, headers = {}) => {
      const reply = await fetch(`${urls[name]}${path}`, { headers });
      return { status: reply.status, type: reply.headers.get("content-type"), body: await reply.text() };
    },
    send: async (name, method, path, body) => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const reply = await fetch(`${urls[name]}${path}`, { method, ...(body === undefined ? {} : { body: text }) });
      return { status: reply.status, body: await reply.text() };
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...running.keys()].map(stop));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await Promise.all(names.map((name) => start(name)));
  return cluster;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once("listening", resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
