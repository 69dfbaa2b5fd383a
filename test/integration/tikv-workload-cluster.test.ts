import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { clientView } from "../../harness/checkers/client-view.ts";
import { checkIntegrity } from "../../harness/checkers/integrity.ts";
import { claimInstance, type OwnedInstance } from "../../harness/engine/instances.ts";
import type { Component, Deps, InstanceId, Operation, Workload } from "../../harness/protocol.ts";
import { deployEmbedded } from "../../subjects/tikv/adapter-process.ts";
import type { EmbeddedInstance } from "../../subjects/tikv/embedded-instance.ts";

const signal = new AbortController().signal;

describe("the workload beside a cluster of processes", () => {
  let root: string;
  let owned: OwnedInstance;
  let cluster: EmbeddedInstance;

  beforeAll(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), "clients-"));
    const deps: Deps = { clock: systemClock, random: seededRandom(root), ids: randomIds, log: silentLog, fetch };
    owned = claimInstance(root, "w1", { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" });
    cluster = await deployEmbedded(
      {
        engine: "process",
        id: owned.id as InstanceId,
        stateDir: owned.paths.dir,
        project: "tikv-w1",
        network: "tikv-w1",
        timeFactor: 0.2,
      },
      deps,
      signal,
    );
    await cluster.waitReady({ timeoutMs: 60_000 }, signal);
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    owned?.[Symbol.dispose]();
    await rm(root, { recursive: true, force: true });
  });

  const okRatio = async (workload: Workload, holds: (ratio: number) => boolean, what: string) =>
    await waitFor(async () => holds((await workload.window(1_000, signal)).okRatio ?? -1), {
      clock: systemClock,
      timeoutMs: 40_000,
      everyMs: 100,
      what,
    });
  const healthy = (workload: Workload) => okRatio(workload, (ratio) => ratio === 1, "every operation to succeed");
  const broken = (workload: Workload) => okRatio(workload, (ratio) => ratio >= 0 && ratio < 0.9, "clients to notice");

  const victim = async () => (await cluster.candidates("leads-region", signal))[0] as Component;

  test("a kill and a hang are seen, end by themselves, and lose no acknowledged write", async () => {
    const options = { seed: 3, ratePerSecond: 60, clients: 6, keyPrefix: "", deadlineMs: 2_000 };
    await using workload = await cluster.startWorkload(options, signal);
    const history: Operation[] = [];
    const reading = (async () => {
      for await (const operation of workload.history(signal)) history.push(operation);
    })();
    await healthy(workload);
    const zeroMs = systemClock.monotonic();

    const killed = await victim();
    await cluster.engine.kill(killed, {}, signal);
    await broken(workload);
    await healthy(workload);
    await cluster.engine.start(killed, signal);
    await cluster.waitReady({ timeoutMs: 60_000 }, signal);
    await healthy(workload);

    const hung = await victim();
    await cluster.engine.pause(hung, signal);
    await broken(workload);
    await healthy(workload);
    await cluster.engine.unpause(hung, signal);
    await healthy(workload);

    await workload.stop(signal);
    await reading;
    const final = await workload.readBack({ timeoutMs: 30_000 }, signal);
    expect(checkIntegrity(history, final)).toMatchObject({ verdict: { verdict: "pass" }, lost: 0 });
    const view = clientView(history, { zeroMs, okRatio: 0.99, windowMs: 500 });
    expect(view.failed + view.unknown).toBeGreaterThan(0);
    expect(view.firstBreachMs).not.toBeNull();
    // Most of the time all is well, also while one store is away.
    expect(view.ok / view.operations).toBeGreaterThan(0.5);
  });
});
