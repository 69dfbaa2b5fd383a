import { mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import type { DeployOptions, Deps, InstanceId, SubjectInstance } from "../../harness/protocol.ts";
import { claimInstance } from "../../harness/engine/instances.ts";
import { deployDocker } from "../../subjects/tikv/adapter-docker.ts";
import { deployEmbedded } from "../../subjects/tikv/adapter-process.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { leaksIn, walkTools, type Answer } from "../support/leak-walk.ts";

const deps: Deps = {
  clock: systemClock,
  random: seededRandom(randomIds.hex(4)),
  ids: randomIds,
  log: silentLog,
  fetch,
};
const load = { seed: 1, ratePerSecond: 50, clients: 2, keyPrefix: "k", deadlineMs: 2_000 };

function walksTools(start: (root: string) => Promise<SubjectInstance>): void {
  let root: string;
  let instance: SubjectInstance;
  let answers: readonly Answer[];
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "leak-"));
    instance = await start(root);
    const signal = AbortSignal.timeout(110_000);
    await instance.waitReady({ timeoutMs: 60_000 }, signal);
    await using _ = await instance.startWorkload(load, signal);
    answers = await walkTools(instance, signal);
  });
  afterAll(async () => {
    await instance?.[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true });
  });

  test("no answer of any tool says what this is", () => {
    expect(leaksIn(answers)).toEqual([]);
  });

  test("what is ours does not exist for it", () => {
    const ours = answers.filter(({ call: [, input] }) =>
      ["client", "workload", "agent", "supervisor", "../pd0", "operator-agent"].includes(String(input["component"])),
    );
    expect(ours.length).toBeGreaterThan(20);
    expect(ours.filter(({ isError }) => !isError)).toEqual([]);
    const list = answers.find(({ call: [tool] }) => tool === "container_list");
    const listed = (JSON.parse(list?.text ?? "[]") as { component: string }[]).map(({ component }) => component);
    expect(listed.sort()).toEqual(instance.components.map(({ component }) => component).sort());
  });
}

describe("on the process engine", () => {
  walksTools((root) => {
    const owned = claimInstance(root, "c1", { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" });
    const options: DeployOptions = {
      engine: "process",
      id: "c1" as InstanceId,
      stateDir: owned.paths.dir,
      project: "tikv-c1",
      network: "tikv-c1",
      timeFactor: 0.2,
    };
    return deployEmbedded(options, deps, AbortSignal.timeout(60_000));
  });
});

describeDocker("on Docker, with our images", () => {
  walksTools(async (root) => {
    Object.assign(process.env, await standInImages());
    const id = randomIds.hex(4) as InstanceId;
    const stateDir = join(root, "instances", id);
    mkdirSync(stateDir, { recursive: true });
    const project = `tikv-${id}`;
    const options: DeployOptions = { engine: "docker", id, stateDir, project, network: project, timeFactor: 1 };
    return await deployDocker(options, deps, AbortSignal.timeout(100_000));
  });
});
