import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Clock, Deps } from "../harness/protocol.ts";
import { quantile } from "../harness/stats/quantile.ts";
import { inCluster, pdUrls } from "./cluster.ts";
import { etcdVersion, startEtcd } from "./etcd-cluster.ts";
import type { Measure } from "./measure.ts";
import { batchTarget, etcdTarget, Routes, unaryTarget, type PutTarget } from "./put-targets.ts";

const CLIENTS = [1, 16, 64, 256];
const ROUNDS = 3;
const ROUND_MS = 1_200;
const WARM_UP_MS = 1_500;
const VALUE = Buffer.alloc(100, "v");
const KEYS = 20_000;

/**
 * Acknowledged puts of 100 bytes by so many clients at a time, to the embedded cluster and to three members of etcd:
 * both replicate to three and sync each write, on one disk, and one client program drives them by turns.
 */
export async function benchPuts(deps: Deps): Promise<readonly Measure[]> {
  const version = etcdVersion();
  if (version === null) throw new Error("there is no etcd on this machine (Debian: apt-get install etcd-server)");
  const root = await mkdtemp(path.join(os.tmpdir(), "puts-"));
  try {
    await using etcd = await startEtcd(path.join(root, "etcd"), deps);
    return await inCluster(root, "b1", deps, async (cluster) => {
      await cluster.waitReady({ timeoutMs: 60_000 }, new AbortController().signal);
      using routes = await Routes.open(pdUrls(cluster));
      const targets = [etcdTarget(etcd, version), unaryTarget(routes), batchTarget(routes)];
      for (const target of targets) await drive(target, 64, WARM_UP_MS, deps.clock);
      const measures = await beside(targets, deps.clock);
      for (const target of targets) target[Symbol.dispose]();
      return measures;
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function beside(targets: readonly PutTarget[], clock: Clock): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const clients of CLIENTS) {
    const found = targets.map(() => ({ rates: [] as number[], waits: [] as number[] }));
    for (let round = 0; round < ROUNDS; round++)
      for (const [at, target] of targets.entries()) {
        const { rate, waits } = await drive(target, clients, ROUND_MS, clock);
        found[at]?.rates.push(rate);
        for (const wait of waits) found[at]?.waits.push(wait);
      }
    const rates = found.map((each) => quantile(each.rates, 0.5));
    for (const [at, { name }] of targets.entries()) {
      const { waits } = found[at] as (typeof found)[number];
      const who = `${clients} clients, ${name}`;
      measures.push({ name: `${who}, puts`, value: rates[at] ?? 0, unit: "1/s" });
      measures.push({ name: `${who}, p50`, value: quantile(waits, 0.5), unit: "ms" });
      measures.push({ name: `${who}, p99`, value: quantile(waits, 0.99), unit: "ms" });
      if (at > 0)
        measures.push({ name: `${who}, share of etcd's puts`, value: (rates[at] ?? 0) / (rates[0] ?? 1), unit: "x" });
    }
  }
  return measures;
}

/** `clients` loops, each one put at a time, for so long. */
async function drive(
  target: PutTarget,
  clients: number,
  forMs: number,
  clock: Clock,
): Promise<{ readonly rate: number; readonly waits: readonly number[] }> {
  const waits: number[] = [];
  const began = clock.monotonic();
  const until = began + forMs;
  let number = 0;
  const client = async (): Promise<void> => {
    for (let at = clock.monotonic(); at < until;) {
      const spread = (number++ * 7_919) % KEYS;
      await target.put(Buffer.from(`k${(spread % 16).toString(16)}-${spread}`), VALUE);
      const now = clock.monotonic();
      waits.push(now - at);
      at = now;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { rate: waits.length / ((clock.monotonic() - began) / 1_000), waits };
}
