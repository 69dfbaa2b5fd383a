import type Docker from "dockerode";
import { z } from "zod";
import { EngineError } from "../base/errors.ts";
import type { Component } from "../protocol.ts";
import { inspectionSchema } from "./docker-inspect.ts";
import { aliasesOf } from "./docker-network.ts";
import { BUILD_LABEL, SOURCE_LABEL } from "./labels.ts";

const configSchema = z
  .looseObject({
    Hostname: z.string().default(""),
    Env: z.array(z.string()).nullish(),
    Labels: z.record(z.string(), z.string()).nullish(),
  })
  .transform(({ Hostname, Env, Labels, ...rest }) => ({
    hostname: Hostname,
    env: Env ?? [],
    labels: Labels ?? {},
    rest,
  }));
const detailSchema = z.object({
  Config: configSchema,
  HostConfig: z.looseObject({
    NetworkMode: z.string().default("default"),
    Binds: z.array(z.string()).nullish(),
    Mounts: z.array(z.looseObject({ Target: z.string() })).nullish(),
  }),
  Mounts: z
    .array(z.object({ Type: z.string(), Name: z.string().optional(), Destination: z.string(), RW: z.boolean() }))
    .default([]),
});
type Config = z.output<typeof configSchema>;

/**
 * Replaces a container by a new one with the same settings, volumes and names in its networks, optionally of another
 * image. The old one is kept, renamed, until the new one has been started; when that fails it is put back.
 */
export async function recreateContainer(
  docker: Docker,
  component: Component,
  id: string,
  options: {
    readonly image: string | undefined;
    readonly network: string;
    /** True = it is one of our own programs, for which the caller answers. */
    readonly ours?: boolean;
  },
  signal: AbortSignal,
): Promise<void> {
  const abort = { abortSignal: signal };
  const old = docker.getContainer(id);
  const raw: unknown = await old.inspect(abort);
  const found = inspectionSchema.parse(raw);
  const name = found.Name.replace(/^\//, "");
  const body = await newSettings(docker, raw, found.Image, options);
  // Before anything is touched: a missing image must leave all as it was.
  const { Config: image } = await docker.getImage(String(body["Image"])).inspect();
  if (options.image !== undefined && options.ours !== true && isProgramOfOurs(image?.Labels ?? {}))
    throw new EngineError(
      "image-missing",
      `recreating ${component}: No such image: ${options.image}: pull or build it first`,
    );
  const ran = found.State.Status !== "created" && found.State.Status !== "exited";
  if (found.State.Status === "paused") await old.unpause();
  await old.stop().catch(ignoreStopped);
  await old.rename({ name: `${name}-old` });
  let made: Docker.Container | null = null;
  try {
    made = await docker.createContainer({ ...body, name, ...firstNetwork(found, component, options.network) });
    for (const [network, endpoint] of Object.entries(found.NetworkSettings.Networks)) {
      if (network === options.network) continue;
      await docker
        .getNetwork(network)
        .connect({ Container: made.id, EndpointConfig: { Aliases: aliasesOf(endpoint, found.Id, component) } });
    }
    if (ran) await made.start();
  } catch (error) {
    // The abort signal is not used from here on: half a replacement must not be left.
    await made?.remove({ force: true }).catch(() => {});
    await old.rename({ name });
    if (ran) await old.start();
    throw error;
  }
  await old.remove({ force: true });
}

/** What is ours does not exist here, except the servers that we imitate. */
function isProgramOfOurs(labels: Readonly<Record<string, string>>): boolean {
  return labels[SOURCE_LABEL] !== undefined && labels[BUILD_LABEL] === undefined;
}

function firstNetwork(found: z.output<typeof inspectionSchema>, component: Component, network: string) {
  if (isBorrowed(network)) return {};
  const endpoint = found.NetworkSettings.Networks[network];
  const aliases = endpoint === undefined ? [component] : aliasesOf(endpoint, found.Id, component);
  return { NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: aliases } } } };
}

/** It lives in another container's network namespace, and has neither names nor a host name of its own there. */
const isBorrowed = (network: string): boolean => network.startsWith("container:");

async function newSettings(
  docker: Docker,
  raw: unknown,
  oldImageId: string,
  { image, network }: { readonly image: string | undefined; readonly network: string },
): Promise<Record<string, unknown>> {
  const { Config: config, HostConfig: host, Mounts: mounts } = detailSchema.parse(raw);
  const bound = new Set([
    ...(host.Binds ?? []).map((bind) => bind.split(":")[1]),
    ...(host.Mounts ?? []).map((mount) => mount.Target),
  ]);
  // Volumes that only the image asked for have no name in the settings; without this the new one would start empty.
  const anonymous = mounts
    .filter((mount) => mount.Type === "volume" && mount.Name !== undefined && !bound.has(mount.Destination))
    .map((mount) => `${mount.Name}:${mount.Destination}${mount.RW ? "" : ":ro"}`);
  const own = image === undefined ? config : await withoutImageDefaults(docker, config, oldImageId);
  return {
    ...own.rest,
    Env: own.env,
    Labels: own.labels,
    // Docker makes up a host name from the container's id; one that somebody chose is kept.
    ...(isBorrowed(network) || /^[0-9a-f]{12}$/.test(config.hostname) ? {} : { Hostname: config.hostname }),
    ...(image === undefined ? {} : { Image: image }),
    HostConfig: { ...host, NetworkMode: network, Binds: [...(host.Binds ?? []), ...anonymous] },
  };
}

/** What the old image brought along must come from the new one, not be carried over as if somebody had set it. */
async function withoutImageDefaults(docker: Docker, config: Config, imageId: string): Promise<Config> {
  const image = z.object({ Config: configSchema }).safeParse(await docker.getImage(imageId).inspect());
  if (!image.success) return config;
  const defaults = image.data.Config;
  const changed = <T>(own: Record<string, T>, from: Record<string, T>) =>
    Object.fromEntries(
      Object.entries(own).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(from[key])),
    );
  return {
    hostname: config.hostname,
    env: config.env.filter((entry) => !defaults.env.includes(entry)),
    labels: changed(config.labels, defaults.labels),
    rest: changed(config.rest, defaults.rest),
  };
}

function ignoreStopped(error: unknown): void {
  if ((error as { statusCode?: number }).statusCode !== 304) throw error;
}
