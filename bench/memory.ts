import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { claimInstance } from "../harness/engine/instances.ts";
import type { Deps, InstanceId } from "../harness/protocol.ts";
import { deployEmbedded } from "../subjects/tikv/adapter-process.ts";
import { RawClient } from "../subjects/tikv/workload/raw-client.ts";
import type { Measure } from "./measure.ts";

const PUTS = 2_000;
const CLIENTS = 16;
/** Nodes write Node's compile cache 3 s after their start. */
const UNTIL_COMPILED_MS = 5_000;

/** Resident memory of an embedded cluster's nodes, the largest of each role, at rest and after writes. */
export async function benchMemory(deps: Deps): Promise<readonly Measure[]> {
  const signal = new AbortController().signal;
  const root = await mkdtemp(path.join(os.tmpdir(), "memory-"));
  try {
    // The second cluster finds its programs compiled, as all but an installation's first do.
    await inCluster(root, "m1", deps, () => deps.clock.sleep(UNTIL_COMPILED_MS));
    return await inCluster(root, "m2", deps, async (cluster) => {
      const largest = async (role: string) => {
        const nodes = cluster.components.filter((each) => each.role === role);
        const stats = await Promise.all(nodes.map(({ component }) => cluster.engine.stats(component, signal)));
        return Math.max(...stats.map(({ memoryBytes }) => memoryBytes)) / 1e6;
      };
      const measures = async (when: string): Promise<readonly Measure[]> => [
        { name: `PD, ${when}`, value: await largest("pd"), unit: "MB" },
        { name: `TiKV, ${when}`, value: await largest("tikv"), unit: "MB" },
      ];
      const before = await measures("once ready");
      const { byComponent } = cluster.endpoints("host");
      const endpoints = ["pd0", "pd1", "pd2"].map((name) => byComponent[name]?.["client"] ?? "");
      await write(endpoints, deps, signal);
      return [...before, ...(await measures(`after ${PUTS} puts`))];
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

type Cluster = Awaited<ReturnType<typeof deployEmbedded>>;

async function inCluster<T>(root: string, id: string, deps: Deps, work: (cluster: Cluster) => Promise<T>): Promise<T> {
  const signal = new AbortController().signal;
  const since = new Date(deps.clock.now()).toISOString();
  using owned = claimInstance(root, id, { pid: process.pid, what: "the bench", since });
  const options = {
    engine: "process" as const,
    id: owned.id as InstanceId,
    stateDir: owned.paths.dir,
    project: `tikv-${id}`,
    network: `tikv-${id}`,
    timeFactor: 1,
  };
  await using cluster = await deployEmbedded(options, deps, signal);
  await cluster.waitReady({ timeoutMs: 60_000 }, signal);
  return await work(cluster);
}

async function write(pdEndpoints: readonly string[], deps: Deps, signal: AbortSignal): Promise<void> {
  using client = new RawClient({ ...deps, pdEndpoints, advertised: {}, deadlineMs: 5_000 });
  const numbers = Array.from({ length: PUTS }, (_, number) => number).values();
  const worker = async () => {
    for (const number of numbers) await client.put(`k${(number % 16).toString(16)}-${number}`, "v".repeat(100), signal);
  };
  await Promise.all(Array.from({ length: CLIENTS }, worker));
}
