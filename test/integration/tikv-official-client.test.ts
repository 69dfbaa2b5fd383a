import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";
import { startEmbedded, type TestCluster } from "../support/embedded-cluster.ts";
import { describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";
import { buildOfficialClients, type OfficialClient } from "../support/official-clients.ts";
import { RUST_BUILD_TIMEOUT_MS } from "../support/rust.ts";
import { officialClientSuite } from "./tikv-official-client.suite.ts";

const signal = new AbortController().signal;

let root: string;
let clients: readonly OfficialClient[];
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "official-"));
});
afterAll(async () => await rm(root, { recursive: true, force: true }));

describeGo("TiKV's official clients", () => {
  beforeAll(async () => {
    clients = await buildOfficialClients(root);
  }, GO_BUILD_TIMEOUT_MS + RUST_BUILD_TIMEOUT_MS);

  // At factor 1 a region elects a new leader 10 to 20 s after the old one is gone, and the clients live through it.
  const paces = [
    { timeFactor: 0.2, watchMs: 10_000, brokenMs: 5_000 },
    { timeFactor: 1, watchMs: 27_000, brokenMs: 22_000 },
  ];
  describe("on clusters of processes at factor 1 and at the demo's", () => {
    const started: TestCluster[] = [];
    const at = (pace: number): TestCluster => started[pace] as TestCluster;
    beforeAll(async () => {
      for (const { timeFactor } of paces) started.push(await startEmbedded({ timeFactor }, signal));
    });
    afterAll(async () => void (await Promise.all(started.map((cluster) => cluster[Symbol.asyncDispose]()))));

    officialClientSuite({
      clusters: paces.map(({ timeFactor, watchMs, brokenMs }, pace) => ({
        name: `factor ${timeFactor}`,
        cluster: () => at(pace).instance,
        deps: () => at(pace).deps,
        endpoints: () => at(pace).pdEndpoints,
        watchMs,
        brokenMs,
      })),
      clients: () => clients,
      command: (program) => [program],
    });
  });
});

describe("a cluster of processes", () => {
  test("loses nothing acknowledged when every node is killed and started again", async () => {
    await using cluster = await startEmbedded({ timeFactor: 0.2 }, signal);
    const { instance, pdEndpoints } = cluster;
    const { clock, random } = cluster.deps;
    const client = () => new RawClient({ pdEndpoints, advertised: {}, deadlineMs: 5_000, clock, random });
    const written = new Map<string, string>();
    {
      using writer = client();
      for (let number = 0; number < 200; number++) {
        const [key, value] = [`key-${number % 13}-${number}`, `value ${number}`];
        if ((await writer.put(key, value, signal)).outcome === "ok") written.set(key, value);
      }
    }
    expect(written.size).toBeGreaterThan(150);
    const nodes = instance.components.filter(({ role }) => role === "pd" || role === "tikv");
    await Promise.all(nodes.map(({ component }) => instance.engine.kill(component, {}, signal)));
    await Promise.all(nodes.map(({ component }) => instance.engine.start(component, signal)));
    // From the first moment on what the cluster does is an outcome, never an exception.
    using reader = client();
    const patience = AbortSignal.timeout(60_000);
    for (const [key, value] of written) {
      let found = await reader.get(key, signal);
      while (found.outcome !== "ok" && !patience.aborted) found = await reader.get(key, signal);
      expect(found).toEqual({ outcome: "ok", value, error: null });
    }
    await instance.waitReady({ timeoutMs: 60_000 }, signal);
  });
});
