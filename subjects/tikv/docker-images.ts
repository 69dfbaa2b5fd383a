import type Docker from "dockerode";
import { ensureImage, imageLabels } from "../../harness/engine/images.ts";
import { BUILD_LABEL, IMITATION_BUILD, SOURCE_LABEL } from "../../harness/engine/labels.ts";
import { ownImages } from "../../harness/engine/own-images.ts";

/** As the shipped compose file has them. */
const DEFAULTS = {
  PD_IMAGE: "pingcap/pd:v8.5.5",
  TIKV_IMAGE: "pingcap/tikv:v8.5.5",
  PROMETHEUS_IMAGE: "prom/prometheus:v3.5.0",
} as const;

export type SubjectImages = Readonly<Record<keyof typeof DEFAULTS, string>>;

/** Images that the compose file will start: from the environment, else its own defaults. */
export function subjectImages(env: Readonly<Record<string, string | undefined>> = process.env): SubjectImages {
  const chosen = (name: keyof typeof DEFAULTS) => ((env[name] ?? "") === "" ? DEFAULTS[name] : (env[name] as string));
  return {
    PD_IMAGE: chosen("PD_IMAGE"),
    TIKV_IMAGE: chosen("TIKV_IMAGE"),
    PROMETHEUS_IMAGE: chosen("PROMETHEUS_IMAGE"),
  };
}

/** Builds our own stand-in image where it was asked for. Everything else is compose's business to pull. */
export async function prepareImages(images: SubjectImages, signal: AbortSignal): Promise<void> {
  const { tag } = ownImages.clusterNode;
  if (images.PD_IMAGE === tag || images.TIKV_IMAGE === tag) await ensureImage(ownImages.clusterNode, signal);
}

/** Images that are not on this machine; our own do not count, since they can be built. */
export async function missingImages(images: SubjectImages, signal: AbortSignal): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const image of new Set(Object.values(images)))
    if (image !== ownImages.clusterNode.tag && (await imageLabels(image, signal)) === null) missing.push(image);
  return missing;
}

export interface Build {
  /** Images with their digests; ours by the digest of their sources, since a rebuild changes the image's own. */
  readonly text: string;
  readonly standIn: boolean;
}

export async function buildOf(docker: Docker, images: readonly string[]): Promise<Build> {
  const described = await Promise.all(
    [...new Set(images)].sort().map(async (image) => {
      const { Id, RepoDigests, Config } = await docker.getImage(image).inspect();
      const labels = (Config.Labels ?? {}) as Readonly<Record<string, string>>;
      const digest = labels[SOURCE_LABEL] ?? RepoDigests?.[0]?.split("@")[1] ?? Id;
      return { text: `${image}@${digest.replace("sha256:", "").slice(0, 16)}`, label: labels[BUILD_LABEL] };
    }),
  );
  return {
    text: described.map(({ text }) => text).join(" "),
    standIn: described.some(({ label }) => label === IMITATION_BUILD),
  };
}
