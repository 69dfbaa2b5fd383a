import type Docker from "dockerode";
import { HarnessError } from "../base/errors.ts";
import { statusOf } from "./docker-client.ts";
import { COMPOSE_PROJECT, INSTANCE_LABEL } from "./labels.ts";

const labelled = (id: string) => ({ label: [`${INSTANCE_LABEL}=${id}`] });

/** Whether any container of the instance runs. */
export async function instanceRuns(docker: Docker, id: string, signal: AbortSignal): Promise<boolean> {
  const containers = await docker.listContainers({ filters: labelled(id), abortSignal: signal });
  return containers.length > 0;
}

/** Whether there are volumes of the instance from an earlier start. */
export async function instanceHasData(docker: Docker, id: string): Promise<boolean> {
  const { Volumes: volumes } = await docker.listVolumes({ filters: labelled(id) });
  return (volumes ?? []).length > 0;
}

/**
 * Removes everything that carries the instance's label, and nothing else: containers, volumes, networks. Whoever else
 * has attached itself to its network is let go of first, not ended. Idempotent.
 */
export async function removeInstance(docker: Docker, id: string): Promise<void> {
  const filters = labelled(id);
  const containers = await docker.listContainers({ all: true, filters });
  await Promise.all(containers.map(({ Id }) => unlessGone(docker.getContainer(Id).remove({ force: true, v: true }))));
  const { Volumes: volumes } = await docker.listVolumes({ filters });
  await Promise.all((volumes ?? []).map(({ Name }) => unlessGone(docker.getVolume(Name).remove({ force: true }))));
  for (const { Id } of await docker.listNetworks({ filters })) {
    const network = docker.getNetwork(Id);
    const { Containers: guests } = (await network.inspect()) as { readonly Containers?: Record<string, unknown> };
    for (const guest of Object.keys(guests ?? {}))
      await unlessGone(network.disconnect({ Container: guest, Force: true }));
    await unlessGone(network.remove());
  }
}

/**
 * A compose project may have been made by somebody else under the name that we want.
 *
 * @throws HarnessError `not-ours`: we then touch nothing of it.
 */
export async function requireOwnProject(
  docker: Docker,
  project: string,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const filters = { label: [`${COMPOSE_PROJECT}=${project}`] };
  const containers = await docker.listContainers({ all: true, filters, abortSignal: signal });
  if (containers.every(({ Labels }) => Labels[INSTANCE_LABEL] === id)) return;
  throw new HarnessError(
    "not-ours",
    `the compose project ${project} exists and is not ours; work on it with --attach ${project}, or remove it yourself`,
    { details: { project } },
  );
}

async function unlessGone(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    // 404: removed meanwhile; 409: somebody else's removal is in progress.
    if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error;
  }
}
