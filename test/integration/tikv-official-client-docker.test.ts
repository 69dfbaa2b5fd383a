import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { ensureImage } from "../../harness/engine/images.ts";
import { INSTANCE_LABEL, PART_LABEL, SUPPORT_PART } from "../../harness/engine/labels.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import type { Deps, InstanceId } from "../../harness/protocol.ts";
import { deployDocker } from "../../subjects/tikv/adapter-docker.ts";
import type { DockerInstance } from "../../subjects/tikv/docker-instance.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";
import { buildOfficialClients, type OfficialClient } from "../support/official-clients.ts";
import { RUST_BUILD_TIMEOUT_MS } from "../support/rust.ts";
import { officialClientSuite } from "./tikv-official-client.suite.ts";

const deps: Deps = {
  clock: systemClock,
  ids: randomIds,
  log: silentLog,
  random: seededRandom(randomIds.hex(4)),
  fetch: globalThis.fetch,
};

describeDocker("a cluster of containers", () => {
  describeGo("to TiKV's official clients", () => {
    const id = randomIds.hex(4) as InstanceId;
    const project = `tikv-${id}`;
    const image = ownImages.clusterNode;
    let root: string;
    let instance: DockerInstance;
    let clients: readonly OfficialClient[];

    beforeAll(async () => {
      root = mkdtempSync(join(tmpdir(), "official-docker-"));
      const stateDir = join(root, "instances", id);
      clients = await buildOfficialClients(root, { GOOS: "linux" });
      await ensureImage(image, AbortSignal.timeout(GO_BUILD_TIMEOUT_MS));
      Object.assign(process.env, await standInImages());
      mkdirSync(stateDir, { recursive: true });
      const options = { engine: "docker" as const, id, stateDir, project, network: project, timeFactor: 1 };
      instance = await deployDocker(options, deps, AbortSignal.timeout(120_000));
      await instance.waitReady({ timeoutMs: 60_000 }, AbortSignal.timeout(60_000));
    }, GO_BUILD_TIMEOUT_MS + RUST_BUILD_TIMEOUT_MS);
    afterAll(async () => {
      await instance?.[Symbol.asyncDispose]();
      rmSync(root, { recursive: true, force: true });
    });

    // Inside the network: the addresses that PD names resolve only there. The image is only a place to run in.
    const labels = [`${PART_LABEL}=${SUPPORT_PART}`, `${INSTANCE_LABEL}=${id}`].flatMap((label) => ["--label", label]);
    const inside = ["run", "--rm", "--network", project, ...labels];
    officialClientSuite({
      clusters: [
        {
          name: "in containers",
          cluster: () => instance,
          deps: () => deps,
          endpoints: () => ["pd0:2379", "pd1:2379", "pd2:2379"],
          watchMs: 14_000,
          brokenMs: 9_000,
        },
      ],
      // What Rust makes runs on the kind of system that it was made on.
      clients: () => clients.filter(({ name }) => process.platform === "linux" || !name.includes("Rust")),
      command: (program) => ["docker", ...inside, "-v", `${program}:/check:ro`, "--entrypoint", "/check", image.tag],
    });
  });
});
