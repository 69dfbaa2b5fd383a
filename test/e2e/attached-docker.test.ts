import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { openCompose, type Compose } from "../../harness/engine/compose.ts";
import { openDockerEngine } from "../../harness/engine/docker-owner.ts";
import { ensureImage } from "../../harness/engine/images.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import { COMPOSE_FILE, PORT_VARIABLES } from "../../subjects/tikv/docker-layout.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { labHome } from "../support/lab-process.ts";

const BUILD_TIMEOUT_MS = 300_000;

describeDocker("somebody else's cluster (a compose project without our label)", () => {
  const project = `their-${randomIds.hex(4)}`;
  const network = `${project}_net`;
  let images: Readonly<Record<string, string>>;
  let compose: Compose;

  beforeAll(async () => {
    images = await standInImages();
    for (const image of [ownImages.clusterNode, ownImages.workload, ownImages.agent])
      await ensureImage(image, AbortSignal.timeout(BUILD_TIMEOUT_MS));
    const ports = Object.fromEntries(PORT_VARIABLES.map((name) => [name, ""]));
    const env = { ...images, ...ports, TIKV_NETWORK: network };
    compose = await openCompose({ file: COMPOSE_FILE, project, env }, AbortSignal.timeout(10_000));
    await compose.up({}, AbortSignal.timeout(60_000));
  }, BUILD_TIMEOUT_MS);
  afterAll(() => compose.down({ volumes: true, timeoutMs: 1_000 }, AbortSignal.timeout(60_000)));

  test("their PD is held to the recordings, through whatever ports it is reached", async ({ signal }) => {
    await using home = await labHome(images);
    await waitFor(
      async () => {
        const check = home.run("subject", "check", "tikv", "--attach", project);
        await check.ended;
        return check.stdout().startsWith("3 members, 195 answers compared, 0 differ");
      },
      { clock: systemClock, timeoutMs: 120_000, everyMs: 1_000, what: "their PD to answer as recorded", signal },
    );
  });

  test("after SIGKILL in mid-fault `lab heal` mends what was broken, and everything of theirs stays", async ({
    signal,
  }) => {
    await using home = await labHome(images);
    const deps = { clock: systemClock, ids: randomIds, log: silentLog };
    await using engine = await openDockerEngine({ project, network }, deps, signal);
    // Attaching asks PD, which has to be there first.
    await waitFor(async (inner) => (await engine.list(inner)).every(({ health }) => health === "healthy"), {
      clock: systemClock,
      timeoutMs: 60_000,
      everyMs: 500,
      what: "their cluster to be healthy",
      signal,
    });
    const run = home.run("run", "tikv/store-hang", "--attach", project, "--yes", "--seed", "5", "--operator", "noop");
    await run.sees(/ticket #1/);
    run.child.kill("SIGKILL");
    await run.ended;
    const broken = (await engine.list(signal)).filter(({ status }) => status === "paused");
    expect(broken).toHaveLength(1);

    const heal = home.run("heal", "--json");
    expect(await heal.ended, heal.stderr()).toBe(0);
    const after = await engine.list(signal);
    expect(after.map(({ status }) => status)).toEqual(Array.from({ length: 7 }, () => "running"));
    expect(after.every(({ restartCount }) => restartCount === 0)).toBe(true);
    expect(await home.instances()).toEqual([]);
  });
});
