import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { claimInstance, type OwnedInstance } from "../../harness/engine/instances.ts";
import type { Deps, InstanceId } from "../../harness/protocol.ts";
import { deployEmbedded } from "../../subjects/tikv/adapter-process.ts";
import type { EmbeddedInstance } from "../../subjects/tikv/embedded-instance.ts";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";
import { buildGo, describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";
import { officialClientSuite } from "./tikv-official-client.suite.ts";

const signal = new AbortController().signal;

describe("a cluster of processes", () => {
  let root: string;
  let owned: OwnedInstance;
  let cluster: EmbeddedInstance;
  let deps: Deps;
  let endpoints: string[];

  beforeAll(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), "official-"));
    deps = { clock: systemClock, random: seededRandom(root), ids: randomIds, log: silentLog, fetch };
    owned = claimInstance(root, "o1", { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" });
    const options = {
      engine: "process" as const,
      id: owned.id as InstanceId,
      stateDir: owned.paths.dir,
      project: "tikv-o1",
      network: "tikv-o1",
      timeFactor: 0.2,
    };
    cluster = await deployEmbedded(options, deps, signal);
    await cluster.waitReady({ timeoutMs: 60_000 }, signal);
    const all = cluster.endpoints("host").byComponent;
    endpoints = ["pd0", "pd1", "pd2"].map((name) => new URL(all[name]?.["client"] ?? "").host);
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    owned?.[Symbol.dispose]();
    await rm(root, { recursive: true, force: true });
  });

  describeGo("to TiKV's official Go client", () => {
    let program: string;
    beforeAll(async () => {
      program = await buildGo("tikv-raw-check", root);
    }, GO_BUILD_TIMEOUT_MS);

    officialClientSuite({
      cluster: () => cluster,
      deps: () => deps,
      client: () => ({ command: [program], endpoints }),
      watchMs: 10_000,
      brokenMs: 5_000,
    });
  });

  test("loses nothing acknowledged when every node is killed and started again", async () => {
    const { clock, random } = deps;
    const client = () => new RawClient({ pdEndpoints: endpoints, advertised: {}, deadlineMs: 5_000, clock, random });
    const written = new Map<string, string>();
    {
      using writer = client();
      for (let number = 0; number < 200; number++) {
        const [key, value] = [`key-${number % 13}-${number}`, `value ${number}`];
        if ((await writer.put(key, value, signal)).outcome === "ok") written.set(key, value);
      }
    }
    expect(written.size).toBeGreaterThan(150);
    const nodes = cluster.components.filter(({ role }) => role === "pd" || role === "tikv");
    await Promise.all(nodes.map(({ component }) => cluster.engine.kill(component, {}, signal)));
    await Promise.all(nodes.map(({ component }) => cluster.engine.start(component, signal)));
    // From the first moment on what the cluster does is an outcome, never an exception.
    using reader = client();
    const patience = AbortSignal.timeout(60_000);
    for (const [key, value] of written) {
      let found = await reader.get(key, signal);
      while (found.outcome !== "ok" && !patience.aborted) found = await reader.get(key, signal);
      expect(found).toEqual({ outcome: "ok", value, error: null });
    }
    await cluster.waitReady({ timeoutMs: 60_000 }, signal);
  });
});
