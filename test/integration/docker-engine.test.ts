import Docker from "dockerode";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { openOperatorDockerEngine } from "../../harness/engine/docker.ts";
import { openDockerEngine } from "../../harness/engine/docker-owner.ts";
import { dockerClient } from "../../harness/engine/docker-client.ts";
import type { Component, Engine, OwnerEngine } from "../../harness/protocol.ts";
import { composeProject, type ComposeProject } from "../support/compose-project.ts";
import { describeDocker } from "../support/docker.ts";

const deps = { clock: systemClock, ids: randomIds, log: silentLog };
const one = "one" as Component;
const two = "two" as Component;
const helper = "helper" as Component;

const up = 'command: [bash, -c, "echo up; sleep 1000"]';
const services = `
  one: { image: "debian:bookworm-slim", init: true, ${up}, volumes: ["data:/data"], environment: { OWN: "1" } }
  two:
    image: debian:bookworm-slim
    init: true
    ${up}
    networks: { default: { aliases: [second-name] } }
  helper:
    image: debian:bookworm-slim
    init: true
    ${up}
    labels: { io.operator.part: support }
`;

describeDocker("docker engine beyond the contract", () => {
  let project: ComposeProject;
  let engine: OwnerEngine;
  let operator: Engine;
  const sh = (component: Component, script: string, signal: AbortSignal) =>
    engine.exec(component, ["bash", "-c", script], { timeoutMs: 10_000 }, signal);

  beforeAll(async () => {
    project = await composeProject(services, { volumes: ["data"] });
    await project.compose.up({}, AbortSignal.timeout(60_000));
    const options = { project: project.name, network: project.network };
    engine = await openDockerEngine(options, deps);
    operator = await openOperatorDockerEngine(options, deps);
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
    await operator[Symbol.asyncDispose]();
    await project[Symbol.asyncDispose]();
  });

  test("our own containers do not exist for the operator, and harm is not among its methods", async ({ signal }) => {
    const seen = await operator.list(signal);
    expect(seen.map(({ component }) => component)).toEqual(["one", "two"]);
    const gone = { code: "not-found" };
    await expect(operator.inspect(helper, signal)).rejects.toMatchObject(gone);
    await expect(operator.logs(helper, {}, signal)).rejects.toMatchObject(gone);
    await expect(operator.exec(helper, ["true"], { timeoutMs: 1_000 }, signal)).rejects.toMatchObject(gone);
    await expect(operator.stop(helper, {}, signal)).rejects.toMatchObject(gone);
    expect((await engine.list(signal)).map(({ component }) => component)).toEqual(["helper", "one", "two"]);
    expect("crash" in operator || "cut" in operator).toBe(false);
  });

  test("all names of a component resolve again after disconnect and connect", async ({ signal }) => {
    const resolves = async (name: string) => (await sh(one, `getent hosts ${name}`, signal)).exitCode === 0;
    await engine.disconnect(two, signal);
    expect(await resolves("two")).toBe(false);
    await engine.connect(two, {}, signal);
    expect([await resolves("two"), await resolves("second-name")]).toEqual([true, true]);
    // One that did not see the disconnection knows the service's name at least.
    await operator.disconnect(two, signal);
    await engine.connect(two, {}, signal);
    expect(await resolves("two")).toBe(true);
  });

  test("cut: silence between two, in both directions, and nobody is told; mend undoes it", async ({ signal }) => {
    // A port where nobody listens refuses at once; one behind a cut does not answer (124 = timeout's own exit code).
    const knock = async (from: Component, to: Component) =>
      (await sh(from, `timeout 1 bash -c 'echo > /dev/tcp/${to}/7000'`, signal)).exitCode;
    expect(await knock(one, two)).toBe(1);
    await engine.cut?.(one, { peers: [two] }, signal);
    expect([await knock(one, two), await knock(two, one)]).toEqual([124, 124]);
    expect(await knock(one, helper)).toBe(1);
    await engine.cut?.(one, {}, signal);
    expect([await knock(one, helper), await knock(helper, one)]).toEqual([124, 124]);
    await engine.mend?.(one, signal);
    expect([await knock(one, two), await knock(two, one), await knock(one, helper)]).toEqual([1, 1, 1]);
  });

  test("recreate with another image: its defaults, our settings, the same volume and names", async ({ signal }) => {
    const docker = await dockerClient();
    const tag = `${project.name}-image:1`;
    const base = await docker.createContainer({ Image: "debian:bookworm-slim", Env: ["FROM_IMAGE=2"] });
    await base.commit({ repo: `${project.name}-image`, tag: "1" });
    await base.remove();
    try {
      await sh(one, "echo kept > /data/file", signal);
      await engine.recreate(one, { image: tag }, signal);
      expect(await engine.inspect(one, signal)).toMatchObject({ image: tag, status: "running", restartCount: 0 });
      expect((await sh(one, 'echo "$OWN $FROM_IMAGE $(cat /data/file)"', signal)).stdout).toBe("1 2 kept\n");
      expect((await sh(two, "getent hosts one", signal)).exitCode).toBe(0);
      await engine.recreate(one, { image: "debian:bookworm-slim" }, signal);
      expect((await sh(one, 'echo "$OWN-$FROM_IMAGE-$(cat /data/file)"', signal)).stdout).toBe("1--kept\n");
    } finally {
      await docker.getImage(tag).remove({ force: true });
    }
  });

  test("recreate with an image that is not there changes nothing", async ({ signal }) => {
    const before = await engine.inspect(two, signal);
    await expect(engine.recreate(two, { image: "nobody/nothing:0" }, signal)).rejects.toMatchObject({
      code: "image-missing",
    });
    expect(await engine.inspect(two, signal)).toEqual(before);
  });

  test("recreate whose new container cannot start puts the old one back", async ({ signal }) => {
    const docker = await dockerClient();
    const tag = `${project.name}-broken:1`;
    const base = await docker.createContainer({ Image: "debian:bookworm-slim", User: "nobody-there" });
    await base.commit({ repo: `${project.name}-broken`, tag: "1" });
    await base.remove();
    try {
      const before = await engine.inspect(two, signal);
      await expect(engine.recreate(two, { image: tag }, signal)).rejects.toThrow();
      expect(await engine.inspect(two, signal)).toMatchObject({
        image: before.image,
        name: before.name,
        status: "running",
        networks: [project.network],
      });
    } finally {
      await docker.getImage(tag).remove({ force: true });
    }
  });

  test("limits: set, changed, and taken away as far as Docker can", async ({ signal }) => {
    await engine.update(one, { cpus: 0.5, memoryBytes: 128 * 2 ** 20 }, signal);
    expect((await engine.inspect(one, signal)).limits).toEqual({ cpus: 0.5, memoryBytes: 128 * 2 ** 20 });
    expect((await engine.stats(one, signal)).memoryLimitBytes).toBe(128 * 2 ** 20);
    await engine.update(one, { cpus: null, memoryBytes: null }, signal);
    expect((await engine.inspect(one, signal)).limits).toEqual({ cpus: null, memoryBytes: null });
    await expect(engine.update(one, { restartPolicy: "sometimes" }, signal)).rejects.toThrow(/use no, always/);
  });

  test("what outlives its exec is killed, with everything that it started", async ({ signal }) => {
    const script = "sleep 4711 & sleep 4711";
    await expect(engine.exec(one, ["bash", "-c", script], { timeoutMs: 300 }, signal)).rejects.toMatchObject({
      code: "timeout",
    });
    await expect
      .poll(async () => (await sh(one, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", signal)).stdout)
      .not.toMatch(/sleep 4711/);
  });
});

test("no engine: says what to do", async ({ signal }) => {
  const docker = new Docker({ socketPath: "/nowhere/docker.sock" });
  await expect(openDockerEngine({ project: "x", network: "x", docker }, deps, signal)).rejects.toMatchObject({
    code: "engine-unreachable",
    message: expect.stringMatching(/start Docker Desktop or .*--engine process/) as string,
  });
});
