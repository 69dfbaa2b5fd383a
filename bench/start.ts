import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Deps } from "../harness/protocol.ts";
import { quantile } from "../harness/stats/quantile.ts";
import { RawClient } from "../subjects/tikv/workload/raw-client.ts";
import { inCluster, pdUrls } from "./cluster.ts";
import type { Measure } from "./measure.ts";

const ROUNDS = 5;
const PATIENCE_MS = 60_000;
/** Nodes write Node's compile cache 3 s after their start. */
const UNTIL_COMPILED_MS = 5_000;

/** From the command to start three PD and three TiKV, on empty folders, to the first acknowledged write. */
export async function benchStart(deps: Deps): Promise<readonly Measure[]> {
  const root = await mkdtemp(path.join(os.tmpdir(), "start-"));
  try {
    const first = await oneStart(root, "s0", deps, UNTIL_COMPILED_MS);
    const starts: Start[] = [];
    for (let round = 1; round <= ROUNDS; round++) starts.push(await oneStart(root, `s${round}`, deps, 0));
    const median = (pick: (start: Start) => number): number => quantile(starts.map(pick), 0.5) / 1_000;
    return [
      { name: `first acknowledged write (median of ${ROUNDS})`, value: median(({ write }) => write), unit: "s" },
      { name: "  slowest", value: Math.max(...starts.map(({ write }) => write)) / 1_000, unit: "s" },
      { name: "  an installation's first cluster, nothing compiled", value: first.write / 1_000, unit: "s" },
      { name: "every region on three stores, every store leading", value: median(({ ready }) => ready), unit: "s" },
      { name: "  an installation's first cluster", value: first.ready / 1_000, unit: "s" },
    ];
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

interface Start {
  readonly write: number;
  readonly ready: number;
}

async function oneStart(root: string, id: string, deps: Deps, thenWaitMs: number): Promise<Start> {
  const { clock } = deps;
  const signal = new AbortController().signal;
  const began = clock.monotonic();
  return await inCluster(root, id, deps, async (cluster) => {
    using client = new RawClient({ ...deps, pdEndpoints: pdUrls(cluster), advertised: {}, deadlineMs: PATIENCE_MS });
    const { outcome } = await client.put("k-first", "v", signal);
    if (outcome !== "ok") throw new Error(`the first write was not acknowledged: ${outcome}`);
    const write = clock.monotonic() - began;
    await cluster.waitReady({ timeoutMs: PATIENCE_MS }, signal);
    const ready = clock.monotonic() - began;
    await clock.sleep(thenWaitMs);
    return { write, ready };
  });
}
