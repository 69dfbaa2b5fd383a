import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { dockerClient } from "../../harness/engine/docker-client.ts";
import { instancePaths, writeInstance, readInstance } from "../../harness/engine/instances.ts";
import { INSTANCE_LABEL } from "../../harness/engine/labels.ts";
import type { Component, Deps, InstanceId } from "../../harness/protocol.ts";
import {
  attachDocker,
  bootDockerFrom,
  deployDocker,
  dockerKeeper,
  dockerReadiness,
  openDockerOwner,
} from "../../subjects/tikv/adapter-docker.ts";
import type { DockerInstance } from "../../subjects/tikv/docker-instance.ts";
import { describeDocker, standInImages } from "../support/docker.ts";

const deps: Deps = {
  clock: systemClock,
  ids: randomIds,
  log: silentLog,
  random: seededRandom(randomIds.hex(4)),
  fetch: globalThis.fetch,
};
const load = { seed: 7, ratePerSecond: 100, clients: 4, keyPrefix: "k", deadlineMs: 2_000 };

describeDocker("a TiKV cluster in containers (stand-in images, the shipped compose file, a real Prometheus)", () => {
  const root = mkdtempSync(join(tmpdir(), "docker-tikv-"));
  const id = randomIds.hex(4) as InstanceId;
  const project = `tikv-${id}`;
  const stateDir = join(root, "instances", id);
  let instance: DockerInstance;

  const labelled = async () => {
    const docker = await dockerClient();
    const filters = { label: [`${INSTANCE_LABEL}=${id}`] };
    const [containers, { Volumes: volumes }, networks] = await Promise.all([
      docker.listContainers({ all: true, filters }),
      docker.listVolumes({ filters }),
      docker.listNetworks({ filters }),
    ]);
    return { containers: containers.length, volumes: volumes.length, networks: networks.length };
  };

  beforeAll(async () => {
    Object.assign(process.env, await standInImages());
    mkdirSync(stateDir, { recursive: true });
    const options = { engine: "docker" as const, id, stateDir, project, network: project, timeFactor: 1 };
    instance = await deployDocker(options, deps, AbortSignal.timeout(120_000));
    await instance.waitReady({ timeoutMs: 60_000 }, AbortSignal.timeout(60_000));
  });
  afterAll(async () => {
    await instance?.[Symbol.asyncDispose]();
    rmSync(root, { recursive: true });
  });

  test("says what it is to people, and nothing of it to the operator", async ({ signal }) => {
    expect(instance).toMatchObject({ title: "TiKV stand-in in Docker", standIn: true, owned: true, timeFactor: 1 });
    expect(await dockerReadiness(signal)).toBeNull();
    const told = JSON.stringify([instance.operatorEnvironment("network"), await instance.engine.list(signal)]);
    expect(told).not.toMatch(/\b(lab|chaos|fault|scenario|trial|inject|nemesis|seed|stand-in)\b/i);
    expect(instance.operatorEnvironment("network")).toMatchObject({
      ENGINE: `docker:${project}`,
      PD_URLS: "http://pd0:2379,http://pd1:2379,http://pd2:2379",
      PROMETHEUS_URL: "http://prometheus:9090",
    });
  });

  test("is seen whole from the host, by every source", async ({ signal }) => {
    const { sources } = await instance.observe(signal);
    expect(Object.entries(sources).filter(([, reading]) => !reading.ok)).toEqual([]);
    expect(await instance.candidates("any-store", signal)).toEqual(["tikv0", "tikv1", "tikv2"]);
    expect(await instance.candidates("pd-leader", signal)).toHaveLength(1);
  });

  test("the workload writes through the network's own names; Prometheus scrapes it", async ({ signal }) => {
    await using workload = await instance.startWorkload(load, signal);
    const seen = await waitFor(
      async (inner) => {
        const window = await workload.window(2_000, inner);
        return window.operations > 100 && window.okRatio === 1 ? window : null;
      },
      { clock: systemClock, timeoutMs: 20_000, everyMs: 200, what: "clients to succeed", signal },
    );
    expect(seen.p99Ms).toBeGreaterThan(0);
    const { prometheusUrl } = instance.endpoints("host");
    await waitFor(
      async (inner) => {
        const query = `${prometheusUrl}/api/v1/query?query=${encodeURIComponent('up{job="client"}')}`;
        return (await (await fetch(query, { signal: inner })).text()).includes('"client"');
      },
      { clock: systemClock, timeoutMs: 30_000, everyMs: 500, what: "Prometheus to find the clients", signal },
    );
    await workload.stop(signal);
    expect((await workload.readBack({ timeoutMs: 20_000 }, signal))?.size).toBeGreaterThan(0);
  });

  test("a crash is brought back by the restart policy, and a store that was cut off finds its way back", async ({
    signal,
  }) => {
    const tikv1 = "tikv1" as Component;
    const before = await instance.engine.inspect(tikv1, signal);
    await instance.engine.crash(tikv1, signal);
    await waitFor(async (inner) => (await instance.engine.inspect(tikv1, inner)).restartCount > before.restartCount, {
      clock: systemClock,
      timeoutMs: 10_000,
      everyMs: 50,
      what: "a restart",
      signal,
    });
    await instance.engine.disconnect(tikv1, signal);
    await instance.engine.connect(tikv1, {}, signal);
    await instance.waitReady({ timeoutMs: 60_000 }, signal);
  });

  test("attached by its project: roles from PD's members and stores, never torn down", async ({ signal }) => {
    const found = await attachDocker({ engine: "docker", project, id: "0a0a0a0a" as InstanceId }, deps, signal);
    expect(found).toMatchObject({ owned: false, standIn: true });
    const roles = found.components.map(({ component, role }) => `${component} ${role}`).sort();
    expect(roles).toEqual(instance.components.map(({ component, role }) => `${component} ${role}`).sort());
    expect(found.endpoints("network")).toEqual(instance.endpoints("network"));
    const dialled = ["pd1:2379", "tikv1:20160", "tikv1:20180", "prometheus:9090"];
    for (const name of dialled)
      expect(found.endpoints("host").advertised[name]).toBe(instance.endpoints("host").advertised[name]);
    expect(found.engine.network).toBe(project);
    await expect(found.tearDown()).rejects.toMatchObject({ code: "not-ours" });
    await found[Symbol.asyncDispose]();
    expect((await instance.engine.list(signal)).every(({ status }) => status === "running")).toBe(true);
  });

  test("nobody else's project of the same name is touched", async ({ signal }) => {
    const other = "ffff0000" as InstanceId;
    const options = { engine: "docker" as const, id: other, stateDir, project, network: project, timeFactor: 1 };
    await expect(deployDocker(options, deps, signal)).rejects.toMatchObject({ code: "not-ours" });
    expect((await instance.engine.list(signal)).length).toBe(7);
  });

  test("logs of all components, ours too", async ({ signal }) => {
    const folder = join(root, "logs");
    await instance.collectLogs(folder, signal);
    expect(readdirSync(folder).sort()).toEqual(
      ["client", "pd0", "pd1", "pd2", "prometheus", "tikv0", "tikv1", "tikv2"].map((name) => `${name}.log`),
    );
    expect(readFileSync(join(folder, "tikv1.log"), "utf8")).toMatch(/^\d{4}-\d\d-\d\dT.*\[INFO\]/m);
  });

  test("opened again by its record; swept by label with nothing left, twice", async ({ signal }) => {
    const again = await bootDockerFrom(stateDir, deps, signal);
    expect(again.endpoints("host")).toEqual(instance.endpoints("host"));
    expect((await again.attest()).digest).toBe((await instance.attest()).digest);
    const record = readInstance(stateDir);
    if (record === null) throw new Error("there is no record");
    await using owner = await openDockerOwner(record, deps, signal);
    expect((await owner.list(signal)).length).toBe(7);
    {
      // A detached one outlives everybody who only looks at it.
      writeInstance(stateDir, { ...record, detached: true });
      await using looked = await bootDockerFrom(stateDir, deps, signal);
      expect((await looked.engine.list(signal)).length).toBe(7);
    }
    expect((await owner.list(signal)).length).toBe(7);
    const keeper = await dockerKeeper(deps, signal);
    const swept = { id, paths: instancePaths(root, id), record };
    expect(await keeper?.isUp(swept, signal)).toBe(true);
    await keeper?.tearDown(swept, signal, systemClock);
    await keeper?.tearDown(swept, signal, systemClock);
    expect(await labelled()).toEqual({ containers: 0, volumes: 0, networks: 0 });
    expect(await keeper?.isUp(swept, signal)).toBe(false);
  });
});
