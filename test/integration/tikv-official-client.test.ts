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

/** A whole cluster for the tests of one `describe`. */
function clusterAt(timeFactor: number) {
  const now = {} as { owned: OwnedInstance; cluster: EmbeddedInstance; deps: Deps; endpoints: string[] };
  const id = `o${timeFactor * 10}`;
  beforeAll(async () => {
    now.deps = { clock: systemClock, random: seededRandom(root), ids: randomIds, log: silentLog, fetch };
    now.owned = claimInstance(root, id, { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" });
    const { paths } = now.owned;
    const project = `tikv-${id}`;
    const options = {
      engine: "process",
      id: id as InstanceId,
      stateDir: paths.dir,
      project,
      network: project,
    } as const;
    now.cluster = await deployEmbedded({ ...options, timeFactor }, now.deps, signal);
    await now.cluster.waitReady({ timeoutMs: 60_000 }, signal);
    const all = now.cluster.endpoints("host").byComponent;
    now.endpoints = ["pd0", "pd1", "pd2"].map((name) => new URL(all[name]?.["client"] ?? "").host);
  });
  afterAll(async () => {
    await now.cluster?.[Symbol.asyncDispose]();
    now.owned?.[Symbol.dispose]();
  });
  return now;
}

describeGo("TiKV's official clients", () => {
  beforeAll(async () => {
    clients = await buildOfficialClients(root);
  }, GO_BUILD_TIMEOUT_MS + RUST_BUILD_TIMEOUT_MS);

  // At factor 1 a region elects a new leader 10 to 20 s after the old one is gone, and the clients live through it.
  describe.each([
    { timeFactor: 0.2, watchMs: 10_000, brokenMs: 5_000 },
    { timeFactor: 1, watchMs: 27_000, brokenMs: 22_000 },
  ])("on a cluster of processes at factor $timeFactor", ({ timeFactor, watchMs, brokenMs }) => {
    const now = clusterAt(timeFactor);
    officialClientSuite({
      cluster: () => now.cluster,
      deps: () => now.deps,
      clients: () => clients,
      command: (program) => [program],
      endpoints: () => now.endpoints,
      watchMs,
      brokenMs,
    });
  });
});

describe("a cluster of processes", () => {
  const now = clusterAt(0.2);

  test("loses nothing acknowledged when every node is killed and started again", async () => {
    const { cluster, endpoints, deps } = now;
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
