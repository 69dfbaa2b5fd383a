import { describe, type SuiteFactory } from "vitest";
import { dockerClient, pingDocker } from "../../harness/engine/docker-client.ts";
import { imageLabels } from "../../harness/engine/images.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import { errorText } from "../../harness/base/errors.ts";

/** Debian's Prometheus, which `bin/host/base-images.ts` makes where the pinned image cannot be pulled. */
const DEBIAN_PROMETHEUS = "prometheus-debian:2.42";

async function whyNoDocker(): Promise<string | null> {
  try {
    await pingDocker(await dockerClient(), AbortSignal.timeout(5_000));
    return null;
  } catch (error) {
    return errorText(error);
  }
}

/** Asked once per test file. */
const why = await whyNoDocker();

/**
 * `describe` for what needs a Docker engine. Without one it is skipped and says why; under CI it fails instead, so that
 * a broken engine cannot pass for a laptop without Docker.
 */
export function describeDocker(name: string, body: SuiteFactory): void {
  if (why === null) return void describe(name, body);
  if ((process.env["CI"] ?? "") !== "") throw new Error(`${name}: ${why} (and CI is set)`);
  describe.skip(`${name} [not run here: ${why}]`, body);
}

/** Variables under which the shipped compose file starts our stand-ins beside a real Prometheus. */
export async function standInImages(): Promise<Readonly<Record<string, string>>> {
  const debian = await imageLabels(DEBIAN_PROMETHEUS, new AbortController().signal);
  return {
    PD_IMAGE: ownImages.clusterNode.tag,
    TIKV_IMAGE: ownImages.clusterNode.tag,
    ...(debian === null ? {} : { PROMETHEUS_IMAGE: DEBIAN_PROMETHEUS }),
  };
}
