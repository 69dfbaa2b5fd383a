import { beforeAll } from "vitest";
import { ensureImage } from "../../harness/engine/images.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { column, tableTests } from "./table.suite.ts";

const BUILD_TIMEOUT_MS = 300_000;
const images = await standInImages();

describeDocker("docker", () => {
  beforeAll(async () => {
    await ensureImage(ownImages.clusterNode, AbortSignal.timeout(BUILD_TIMEOUT_MS));
  }, BUILD_TIMEOUT_MS);

  tableTests("docker", column, images);
});
