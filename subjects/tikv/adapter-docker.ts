import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type Docker from "dockerode";
import { z } from "zod";
import { isoTime } from "../../harness/base/clock.ts";
import { errorText, HarnessError } from "../../harness/base/errors.ts";
import { openCompose } from "../../harness/engine/compose.ts";
import { openDockerEngine } from "../../harness/engine/docker-owner.ts";
import { dockerClient, dockerError, pingDocker } from "../../harness/engine/docker-client.ts";
import {
  instanceHasData,
  instanceRuns,
  removeInstance,
  requireOwnProject,
} from "../../harness/engine/docker-instance.ts";
import { readInstance, writeInstance, type InstanceRecord } from "../../harness/engine/instances.ts";
import { holdPortBlock } from "../../harness/engine/process/ports.ts";
import type { InstanceKeeper } from "../../harness/engine/sweep.ts";
import type { AttachOptions, DeployOptions, Deps, InstanceId, OwnerEngine } from "../../harness/protocol.ts";
import { CONFIG_FILES, placeConfig, removeConfig } from "./docker-config.ts";
import { discoverCluster } from "./docker-discover.ts";
import { buildOf, missingImages, prepareImages, subjectImages } from "./docker-images.ts";
import { DockerInstance } from "./docker-instance.ts";
import { COMPOSE_FILE, PORT_VARIABLES, shippedComponents } from "./docker-layout.ts";

/** Another program may take a port that we saw free; then other ones are tried. */
const PORT_ATTEMPTS = 5;

/** What a Docker cluster's record holds, so that a later command can open it again. */
const subjectDataSchema = z.object({
  ports: z.record(z.string(), z.number()),
  title: z.string(),
  standIn: z.boolean(),
  build: z.string(),
  newness: z.record(z.string(), z.string()),
});
type SubjectData = z.output<typeof subjectDataSchema>;

/** Why a TiKV cluster cannot be started in containers right now without downloading anything, or null. */
export async function dockerReadiness(signal: AbortSignal): Promise<string | null> {
  const docker = await dockerClient();
  try {
    await pingDocker(docker, signal);
    await openCompose({ file: COMPOSE_FILE, project: "tikv" }, signal);
  } catch (error) {
    signal.throwIfAborted();
    return errorText(error);
  }
  const missing = await missingImages(subjectImages(), signal);
  return missing.length === 0 ? null : `images are not here: ${missing.join(", ")}`;
}

/**
 * Starts a cluster from the shipped compose file. The caller has claimed `stateDir` and waits for it with `waitReady`.
 *
 * @throws HarnessError `engine-unreachable`, `engine-permission`, `image-missing`, `port-taken`, `not-ours`; nothing is
 *   left running.
 */
export async function deployDocker(options: DeployOptions, deps: Deps, signal: AbortSignal): Promise<DockerInstance> {
  const { id, project, network, stateDir } = options;
  const docker = await dockerClient();
  const engine = await openDockerEngine({ project, network, docker }, deps, signal);
  await requireOwnProject(docker, project, id, signal);
  const images = subjectImages();
  await prepareImages(images, signal);
  const data = (await instanceHasData(docker, id)) ? "from before" : "empty";
  const base = recordOf(options, deps);
  // Before anything runs, so that a sweep knows whose containers they are.
  writeInstance(stateDir, base);
  try {
    const ports = await start(options, deps, signal);
    const build = await buildOf(docker, Object.values(images));
    const subjectData: SubjectData = {
      ports,
      title: build.standIn ? "TiKV stand-in in Docker" : `TiKV ${versionOf(images.TIKV_IMAGE)} in Docker`,
      standIn: build.standIn,
      build: build.text,
      newness: { configuration: await configurationDigest(), data },
    };
    const record = { ...base, subjectData };
    writeInstance(stateDir, record);
    return instanceOf(stateDir, record, docker, engine, deps);
  } catch (error) {
    await remove(docker, id);
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Opens a cluster that was deployed earlier, by its state folder. Disposing it lets go if it is detached.
 *
 * @throws HarnessError `not-found` when there is none in that folder.
 */
export async function bootDockerFrom(stateDir: string, deps: Deps, signal: AbortSignal): Promise<DockerInstance> {
  const record = readInstance(stateDir);
  if (record === null || record.kind !== "docker")
    throw new HarnessError("not-found", `there is no cluster in containers in ${stateDir}`);
  const docker = await dockerClient();
  const engine = await openDockerEngine({ project: record.project, network: record.network, docker }, deps, signal);
  return instanceOf(stateDir, record, docker, engine, deps);
}

/**
 * Opens somebody else's cluster by its compose project. Nothing is started but a workload that is asked for, nothing is
 * ever torn down.
 *
 * @throws HarnessError `not-found` naming what is missing.
 */
export async function attachDocker(options: AttachOptions, deps: Deps, signal: AbortSignal): Promise<DockerInstance> {
  const docker = await dockerClient();
  const found = await discoverCluster(docker, options, deps, signal).catch((error: unknown) => {
    throw error instanceof HarnessError ? error : dockerError(error, "looking at the cluster", signal);
  });
  const { network, components, inspections, version } = found;
  if (options.stateDir !== undefined)
    writeInstance(options.stateDir, { ...recordOf({ ...options, network, timeFactor: 1 }, deps), attached: true });
  const engine = await openDockerEngine({ project: options.project, network, docker }, deps, signal);
  const names = new Set(components.map(({ component }) => component as string));
  const images = inspections.filter(({ Config }) => names.has(Config.Labels["com.docker.compose.service"] ?? ""));
  const build = await buildOf(
    docker,
    images.map(({ Config }) => Config.Image),
  );
  return new DockerInstance({
    id: options.id,
    project: options.project,
    network,
    owned: false,
    title: `${build.standIn ? "TiKV stand-in" : `TiKV ${version}`} of the project ${options.project} (attached)`,
    standIn: build.standIn,
    build: build.text,
    docker,
    engine,
    components,
    prometheusUrl: options.prometheusUrl ?? null,
    deps,
    newness: {},
    tearDown: null,
    detached: true,
    detach: null,
  });
}

/** What a sweep does with clusters in containers whose owner is gone; null where no engine answers. */
export async function dockerKeeper(_deps: Deps, signal: AbortSignal): Promise<InstanceKeeper | null> {
  const docker = await dockerClient();
  try {
    await pingDocker(docker, signal);
  } catch {
    signal.throwIfAborted();
    return null;
  }
  return {
    isUp: ({ id }, within) => instanceRuns(docker, id, within),
    tearDown: ({ id }) => remove(docker, id),
  };
}

/** The owner's engine of a recorded cluster, e.g. to heal it. */
export function openDockerOwner(record: InstanceRecord, deps: Deps, signal: AbortSignal): Promise<OwnerEngine> {
  return openDockerEngine({ project: record.project, network: record.network }, deps, signal);
}

async function remove(docker: Docker, id: string): Promise<void> {
  await removeInstance(docker, id);
  await removeConfig(id);
}

async function start(
  { id, project, network, ports: given }: DeployOptions,
  deps: Deps,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const folder = await placeConfig(id);
  for (let attempt = 1; ; attempt++) {
    // Held until the containers have its ports, for whoever looks for a block meanwhile.
    await using block = await holdPortBlock(PORT_VARIABLES.length, deps.random.fork(`${id}/ports/${attempt}`));
    const ports = Object.fromEntries(
      PORT_VARIABLES.map((name, index) => [name, given?.[name] ?? (block.ports[index] as number)]),
    );
    const env = {
      ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
      TIKV_NETWORK: network,
      INSTANCE_LABEL: id,
      CONFIG_DIR: folder,
    };
    const compose = await openCompose({ file: COMPOSE_FILE, project, env }, signal);
    try {
      await compose.up({}, signal);
      return ports;
    } catch (error) {
      const lostRace = error instanceof HarnessError && error.code === "port-taken" && attempt < PORT_ATTEMPTS;
      if (!lostRace) throw error;
    }
  }
}

function instanceOf(
  stateDir: string,
  record: InstanceRecord,
  docker: Docker,
  engine: OwnerEngine,
  deps: Deps,
): DockerInstance {
  const { ports, ...described } = subjectDataSchema.parse(record.subjectData);
  return new DockerInstance({
    ...described,
    id: record.id as InstanceId,
    project: record.project,
    network: record.network,
    owned: true,
    docker,
    engine,
    components: shippedComponents(ports),
    prometheusUrl: null,
    deps,
    tearDown: () => remove(docker, record.id),
    detached: record.detached,
    detach: () => writeInstance(stateDir, { ...record, detached: true }),
  });
}

function recordOf(
  { id, project, network, timeFactor }: Pick<DeployOptions, "id" | "project" | "network" | "timeFactor">,
  deps: Deps,
): InstanceRecord {
  return {
    version: 1,
    id,
    kind: "docker",
    subject: "tikv",
    project,
    network,
    createdAt: isoTime(deps.clock.now()),
    detached: false,
    timeFactor,
    sockets: null,
    components: shippedComponents({}).map(({ component, role }) => ({ component, role })),
    subjectData: {},
  };
}

/** Of what we ship; ports differ from one instance to the next and are left out. */
async function configurationDigest(): Promise<string> {
  const hash = createHash("sha256");
  for (const file of [COMPOSE_FILE, ...CONFIG_FILES]) hash.update(await readFile(file)).update("\0");
  return hash.digest("hex").slice(0, 16);
}

const versionOf = (image: string): string => /:([^/@]+)(@|$)/.exec(image)?.[1] ?? image;
