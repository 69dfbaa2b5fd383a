import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { dockerClient } from "../../harness/engine/docker-client.ts";
import { ensureImage } from "../../harness/engine/images.ts";
import { INSTANCE_LABEL } from "../../harness/engine/labels.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import { readRecord } from "../../harness/store/run-folder.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { labHome } from "../support/lab-process.ts";

const BUILD_TIMEOUT_MS = 300_000;
const trial = ["run", "tikv/store-kill", "--engine", "docker", "--seed", "7", "--operator", "noop"];

/** What Docker still has of an instance, of every kind. */
async function leftOf(id: string): Promise<readonly string[]> {
  const docker = await dockerClient();
  const filters = { label: [`${INSTANCE_LABEL}=${id}`] };
  const { Volumes: volumes } = await docker.listVolumes({ filters });
  return [
    ...(await docker.listContainers({ all: true, filters })).flatMap(({ Names }) => Names),
    ...volumes.map(({ Name }) => Name),
    ...(await docker.listNetworks({ filters })).map(({ Name }) => Name),
  ];
}

describeDocker("an interrupted trial in containers", () => {
  let images: Readonly<Record<string, string>>;
  beforeAll(async () => {
    images = await standInImages();
    for (const image of [ownImages.clusterNode, ownImages.workload, ownImages.agent])
      await ensureImage(image, AbortSignal.timeout(BUILD_TIMEOUT_MS));
  }, BUILD_TIMEOUT_MS);

  test("Ctrl-C in mid-fault: everything is gone, and the record is void", async () => {
    await using home = await labHome(images);
    const run = home.run(...trial);
    await run.sees(/ticket #1/);
    const [id = ""] = await home.instances();
    expect(await leftOf(id)).not.toEqual([]);
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    const [folder = ""] = await readdir(home.runs);
    expect(await readRecord(join(home.runs, folder))).toMatchObject({ status: "void" });
    expect([await home.instances(), await leftOf(id)]).toEqual([[], []]);
  });

  test("after SIGKILL in mid-fault `lab heal` leaves nothing of it, and a live run is not touched", async () => {
    await using home = await labHome(images);
    const victim = home.run(...trial);
    await victim.sees(/ticket #1/);
    const [id = ""] = await home.instances();
    const other = home.run("run", "tikv/store-hang", "--engine", "docker", "--seed", "3");
    await other.sees("waiting for the steady state");
    victim.child.kill("SIGKILL");
    await victim.ended;
    expect(await leftOf(id)).not.toEqual([]);

    const heal = home.run("heal", "--json");
    expect(await heal.ended, heal.stderr()).toBe(0);
    const swept = JSON.parse(heal.stdout()) as { id: string; outcome: string }[];
    expect(swept.map(({ outcome }) => outcome).toSorted()).toEqual(["live", "removed"]);
    expect(await leftOf(id)).toEqual([]);
    expect(await other.ended, other.stdout()).toBe(0);
    expect(await home.instances()).toEqual([]);
  });
});
