import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { claimInstance, type OwnedInstance } from "../../harness/engine/instances.ts";
import { openProcessEngine } from "../../harness/engine/process/client.ts";
import { isAlive, type ProcessIdentity } from "../../harness/engine/process/identity.ts";
import type { Component, DeployOptions, Deps, InstanceId } from "../../harness/protocol.ts";
import { bootEmbeddedFrom, deployEmbedded } from "../../subjects/tikv/adapter-process.ts";
import type { EmbeddedInstance } from "../../subjects/tikv/embedded-instance.ts";

const TIME_FACTOR = 0.2;
const READY = { timeoutMs: 30_000 };

let root: string;
let deps: Deps;
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "embedded-"));
  deps = { clock: systemClock, random: seededRandom(root), ids: randomIds, log: silentLog, fetch };
});
afterAll(() => rm(root, { recursive: true, force: true }));

const claim = (id: string): OwnedInstance =>
  claimInstance(root, id, { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" });

const optionsFor = (owned: OwnedInstance): DeployOptions => ({
  engine: "process",
  id: owned.id as InstanceId,
  stateDir: owned.paths.dir,
  project: `tikv-${owned.id}`,
  network: `tikv-${owned.id}`,
  timeFactor: TIME_FACTOR,
});

function processesOf(dir: string): ProcessIdentity[] {
  const pids = JSON.parse(readFileSync(path.join(dir, "pids.json"), "utf8")) as {
    supervisor: ProcessIdentity;
    nodes: ProcessIdentity[];
  };
  return [pids.supervisor, ...pids.nodes];
}

describe("an embedded cluster", () => {
  let owned: OwnedInstance;
  let cluster: EmbeddedInstance;
  beforeAll(async () => {
    owned = claim("c1");
    const signal = AbortSignal.timeout(60_000);
    cluster = await deployEmbedded(optionsFor(owned), deps, signal);
    await cluster.waitReady(READY, signal);
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    owned?.[Symbol.dispose]();
  });

  test("is ready: three stores Up, every region led and replicated, one PD leader", async ({ signal }) => {
    expect(await cluster.candidates("any-store", signal)).toEqual(["tikv0", "tikv1", "tikv2"]);
    expect((await cluster.candidates("leads-region", signal)).length).toBeGreaterThan(1);
    const leader = await cluster.candidates("pd-leader", signal);
    const followers = await cluster.candidates("pd-follower", signal);
    expect([...leader, ...followers].sort()).toEqual(["pd0", "pd1", "pd2"]);
    await expect(cluster.candidates("no-such", signal)).rejects.toMatchObject({ code: "subject-failed" });
  });

  test("every invariant holds or waits for data; none is violated", async ({ signal }) => {
    const seen = await cluster.observe(signal);
    const judged = cluster.invariants.flatMap((invariant) => invariant.judge([seen]));
    expect(judged.filter(({ state }) => state === "violated")).toEqual([]);
    expect(judged.some(({ state }) => state === "held")).toBe(true);
  });

  test("says of itself only what an operator may read", async ({ signal }) => {
    const environment = cluster.operatorEnvironment("host");
    await using engine = await openProcessEngine({ socketPath: environment["ENGINE"]?.slice(5) ?? "" }, signal);
    const states = await engine.list(signal);
    const logs = await Promise.all(states.map(({ component }) => engine.logs(component, {}, signal)));
    const member = await engine.exec("pd0" as Component, ["/pd-ctl", "member"], { timeoutMs: 10_000 }, signal);
    expect(member).toMatchObject({ exitCode: 0 });
    const ctl = (...words: string[]) =>
      engine.exec("tikv0" as Component, ["/tikv-ctl", ...words], { timeoutMs: 10_000 }, signal);
    const [own, other, metrics] = [await ctl("store"), await ctl("--host=tikv1:20160", "store"), await ctl("metrics")];
    expect([own, other, metrics].map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect(own.stdout).not.toBe(other.stdout);
    const text = JSON.stringify([states, logs, member, own, metrics, environment["ENDPOINTS"]]);
    expect(text.match(/\b(lab|chaos|fault|scenario|trial|inject|nemesis|seed|stand-in)\b/gi)).toBeNull();
    expect(states.map(({ component }) => component).sort()).toEqual(cluster.components.map((c) => c.component).sort());
  });

  test("serves a workload, which no operator sees, and comes back from the loss of a store", async ({ signal }) => {
    await using workload = await cluster.startWorkload(
      { seed: 1, ratePerSecond: 50, clients: 4, keyPrefix: "k", deadlineMs: 2_000 },
      signal,
    );
    const flows = (what: string) =>
      waitFor(
        async () => {
          const { operations, okRatio } = await workload.window(1_000, signal);
          return operations > 20 && okRatio !== null && okRatio > 0.99;
        },
        { clock: systemClock, timeoutMs: 30_000, everyMs: 200, what, signal },
      );
    await flows("clients to succeed");
    expect((await cluster.engine.list(signal)).map(({ component }) => component)).not.toContain("client");
    const [victim] = await cluster.candidates("leads-region", signal);
    await cluster.engine.kill(victim as Component, {}, signal);
    await flows("clients to succeed without the store");
    await cluster.engine.start(victim as Component, signal);
    await cluster.waitReady(READY, signal);
    await workload.stop(signal);
    const final = await workload.readBack({ timeoutMs: 20_000 }, signal);
    expect(final?.size).toBeGreaterThan(0);
  });

  test("leaves one log per component", async ({ signal }) => {
    const folder = path.join(root, "logs");
    await cluster.collectLogs(folder, signal);
    expect((await readdir(folder)).sort()).toEqual([
      "pd0.log",
      "pd1.log",
      "pd2.log",
      "prometheus.log",
      "supervisor.log",
      "tikv0.log",
      "tikv1.log",
      "tikv2.log",
    ]);
    expect(readFileSync(path.join(folder, "pd0.log"), "utf8")).toContain("[INFO]");
  });

  test("is attested as new exactly like another one, and ends without a trace", async ({ signal }) => {
    const other = claim("c2");
    const second = await deployEmbedded(optionsFor(other), deps, signal);
    const processes = processesOf(other.paths.dir);
    expect((await second.attest()).digest).toBe((await cluster.attest()).digest);
    expect((await second.attest()).parts["data"]).toBe("empty");
    await second[Symbol.asyncDispose]();
    expect(processes.filter(isAlive)).toEqual([]);
    other[Symbol.dispose]();
    expect(existsSync(other.paths.dir)).toBe(false);
  });

  test("once detached it is found again, and torn down from there; with real timers", async ({ signal }) => {
    const third = claim("c3");
    // A replica that PD believes to be behind would stay so until the next heartbeat, 60 s later: longer than READY.
    const first = await deployEmbedded({ ...optionsFor(third), timeFactor: 1 }, deps, signal);
    await first.detach(signal);
    await first[Symbol.asyncDispose]();
    const again = await bootEmbeddedFrom(third.paths.dir, deps, signal);
    await again.waitReady(READY, signal);
    expect(again.endpoints("host")).toEqual(first.endpoints("host"));
    await again[Symbol.asyncDispose]();
    const processes = processesOf(third.paths.dir);
    expect(processes.every(isAlive)).toBe(true);
    await (await bootEmbeddedFrom(third.paths.dir, deps, signal)).tearDown();
    expect(processes.filter(isAlive)).toEqual([]);
    third[Symbol.dispose]();
  });

  test("is refused a port that is taken, and leaves nothing", async ({ signal }) => {
    const fourth = claim("c4");
    const taken = Number(new URL(cluster.endpoints("host").prometheusUrl ?? "").port);
    const options = { ...optionsFor(fourth), ports: { prometheus: taken } };
    await expect(deployEmbedded(options, deps, signal)).rejects.toMatchObject({ code: "port-taken" });
    expect(existsSync(path.join(fourth.paths.dir, "pids.json"))).toBe(false);
    fourth[Symbol.dispose]();
  });
});
