import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Deps } from "../harness/protocol.ts";
import { RawClient } from "../subjects/tikv/workload/raw-client.ts";
import { inCluster, pdUrls, type BenchCluster } from "./cluster.ts";
import type { Measure } from "./measure.ts";

const CLIENTS = 16;
const PUTS = [2_000, 20_000];
/** Nodes write Node's compile cache 3 s after their start. */
const UNTIL_COMPILED_MS = 5_000;
const READY_MS = 60_000;
const SETTLE_MS = 3_000;

/** Resident memory of an embedded cluster's nodes, the largest of each role, at rest and after writes. */
export async function benchMemory(deps: Deps): Promise<readonly Measure[]> {
  const signal = new AbortController().signal;
  const root = await mkdtemp(path.join(os.tmpdir(), "memory-"));
  try {
    // The second cluster finds its programs compiled, as all but an installation's first do.
    await inCluster(root, "m1", deps, async (cluster) => {
      await cluster.waitReady({ timeoutMs: READY_MS }, signal);
      await deps.clock.sleep(UNTIL_COMPILED_MS);
    });
    return await inCluster(root, "m2", deps, async (cluster) => {
      await cluster.waitReady({ timeoutMs: READY_MS }, signal);
      await deps.clock.sleep(SETTLE_MS);
      const found = [...(await largest(cluster, "at rest", signal))];
      using client = new RawClient({ ...deps, pdEndpoints: pdUrls(cluster), advertised: {}, deadlineMs: 5_000 });
      let done = 0;
      for (const puts of PUTS) {
        await write(client, done, puts, signal);
        done = puts;
        found.push(...(await largest(cluster, `after ${puts} puts`, signal)));
      }
      return found;
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function largest(cluster: BenchCluster, when: string, signal: AbortSignal): Promise<readonly Measure[]> {
  const of = async (role: string): Promise<number> => {
    const nodes = cluster.components.filter((each) => each.role === role);
    const stats = await Promise.all(nodes.map(({ component }) => cluster.engine.stats(component, signal)));
    return Math.max(...stats.map(({ memoryBytes }) => memoryBytes)) / 1e6;
  };
  return [
    { name: `PD, ${when}`, value: await of("pd"), unit: "MB" },
    { name: `TiKV, ${when}`, value: await of("tikv"), unit: "MB" },
  ];
}

async function write(client: RawClient, from: number, to: number, signal: AbortSignal): Promise<void> {
  const numbers = Array.from({ length: to - from }, (_, number) => from + number).values();
  const worker = async (): Promise<void> => {
    for (const number of numbers) await client.put(`k${(number % 16).toString(16)}-${number}`, "v".repeat(100), signal);
  };
  await Promise.all(Array.from({ length: CLIENTS }, worker));
}
