import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { isoTime } from "../harness/base/clock.ts";
import { waitFor } from "../harness/base/wait.ts";
import { claimInstance } from "../harness/engine/instances.ts";
import { type MonitorEvent, runMonitor } from "../harness/monitor/index.ts";
import type { Component, Deps, InstanceId } from "../harness/protocol.ts";
import { quantile } from "../harness/stats/quantile.ts";
import { deployEmbedded } from "../subjects/tikv/adapter-process.ts";
import { openTickets } from "../tickets/index.ts";

const STORES = ["tikv0", "tikv1", "tikv2"] as Component[];
const READY_MS = 60_000;
const LIMIT_MS = 30_000;

export interface Detection {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
}

/**
 * From the SIGKILL of a store to its ticket in the file, as a monitor with its default interval finds it: once woken by
 * the engine's events, once by its own looks alone. A fresh monitor each time, killed at a random moment of its
 * interval. On an embedded cluster of its own, time factor 1.
 */
export async function measureDetection(
  { rounds }: { readonly rounds: number },
  deps: Deps,
  signal: AbortSignal,
): Promise<{ readonly withEvents: Detection; readonly withoutEvents: Detection }> {
  const folder = await mkdtemp(path.join(tmpdir(), "detection-"));
  const id = deps.ids.hex(4) as InstanceId;
  const holder = { pid: process.pid, what: "bench", since: isoTime(deps.clock.now()) };
  const owned = claimInstance(folder, id, holder);
  try {
    const options = {
      engine: "process",
      id,
      stateDir: owned.paths.dir,
      project: id,
      network: id,
      timeFactor: 1,
    } as const;
    await using instance = await deployEmbedded(options, deps, signal);
    await instance.waitReady({ timeoutMs: READY_MS }, signal);
    const took: Record<"with" | "without", number[]> = { with: [], without: [] };
    for (let round = 0; round < rounds * 2; round++) {
      const victim = STORES[round % STORES.length] as Component;
      const kind = round % 2 === 0 ? "with" : "without";
      took[kind].push(await once(instance, kind, victim, path.join(folder, `${round}.db`), deps, signal));
      await instance.engine.start(victim, signal);
      await instance.waitReady({ timeoutMs: READY_MS }, signal);
    }
    return { withEvents: summary(took.with), withoutEvents: summary(took.without) };
  } finally {
    owned[Symbol.dispose]();
    await rm(folder, { recursive: true, force: true });
  }
}

async function once(
  instance: Awaited<ReturnType<typeof deployEmbedded>>,
  kind: "with" | "without",
  victim: Component,
  db: string,
  deps: Deps,
  signal: AbortSignal,
): Promise<number> {
  const { clock } = deps;
  await using tickets = await openTickets(db, deps);
  const { engine, ...blind } = { ...monitored(instance) };
  let looks = 0;
  let openedMs: number | null = null;
  const onEvent = (event: MonitorEvent): void => {
    if (event.type === "observation") looks++;
    if (event.type === "ticket" && event.ticket.component === victim) openedMs ??= clock.monotonic();
  };
  const stop = new AbortController();
  const watched = kind === "with" ? { ...blind, engine } : blind;
  const running = runMonitor({ instance: watched, tickets, deps, onEvent }, AbortSignal.any([signal, stop.signal]));
  const wait = { clock, timeoutMs: LIMIT_MS, everyMs: 5, signal };
  await waitFor(() => looks >= 2, { ...wait, what: "the monitor to look" });
  await clock.sleep(deps.random.next() * 1_000, signal);
  const killedMs = clock.monotonic();
  await instance.engine.kill(victim, {}, signal);
  const at = await waitFor(() => openedMs, { ...wait, what: `a ticket for ${victim}` });
  stop.abort();
  await running;
  return at - killedMs;
}

function monitored(instance: Awaited<ReturnType<typeof deployEmbedded>>) {
  const { id, subject, timeFactor, invariants, observe, engine } = instance;
  return { id, subject, timeFactor, invariants, observe, engine };
}

function summary(values: readonly number[]): Detection {
  const round = (ms: number): number => Math.round(ms);
  return {
    samples: values.length,
    p50Ms: round(quantile(values, 0.5)),
    p95Ms: round(quantile(values, 0.95)),
    maxMs: round(Math.max(...values)),
  };
}
