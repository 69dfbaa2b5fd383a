import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { z } from "zod";
import { EngineError } from "../base/errors.ts";
import type { Component, EpochMs } from "../protocol.ts";
import type { Compose } from "./compose.ts";
import { DockerEngine, type EngineDeps } from "./docker.ts";
import { dockerClient, dockerError } from "./docker-client.ts";
import { eventLines } from "./docker-events.ts";
import { inspectionSchema, toContainerState } from "./docker-inspect.ts";
import { recreateContainer } from "./docker-recreate.ts";
import { COMPOSE_ONEOFF, COMPOSE_PROJECT, COMPOSE_SERVICE, PART_LABEL, SUPPORT_PART } from "./labels.ts";
import type { WatchedContainer, WatchedEngine, WatchedEvent } from "./watched.ts";

export interface DockerWatchedOptions {
  /** Compose project of the deployment. A component is a service of it. */
  readonly project: string;
  /** What makes a container anew that is gone; asked each time, since the mode may have changed. */
  compose(component: string, signal: AbortSignal): Promise<Compose>;
  readonly docker?: Docker;
}

/** The tag under which an image is kept that has worked. */
export const WORKED_TAG = "last-worked";

/** Our own containers of one compose project. Opens no connection yet, so that a watchdog can begin before the engine. */
export async function openDockerWatched(options: DockerWatchedOptions, deps: EngineDeps): Promise<WatchedEngine> {
  const support = new SupportContainers(options.docker ?? (await dockerClient()), options, deps);
  return {
    kind: "docker",
    inspect: (component, signal) => support.watched(component as Component, signal),
    logs: async (component, { tail, since }, signal) => {
      const wanted = { tail, ...(since === null ? {} : { since }) };
      return (await support.logs(component as Component, wanted, signal)).map(({ text }) => text);
    },
    restart: (component, signal) => support.restart(component as Component, {}, signal),
    unpause: (component, signal) => support.unpause(component as Component, signal),
    recreate: async (component, signal) => {
      const compose = await options.compose(component, signal);
      // Compose would start the one that is there, also where that is what cannot be started.
      if ((await support.watched(component as Component, signal)) !== null) await compose.remove([component], signal);
      await compose.up({ services: [component], noDeps: true }, signal);
    },
    useImage: (component, imageId, signal) => support.useImage(component as Component, imageId, signal),
    keepImage: (component, imageId, signal) => support.keepImage(component as Component, imageId, signal),
    events: (since, signal) => support.watchedEvents(since, signal),
    [Symbol.asyncDispose]: () => support[Symbol.asyncDispose](),
  };
}

/**
 * Where a container's port was published on this machine, `host:port`.
 * @throws EngineError `not-found` when it is not, or there is no such container.
 */
export async function publishedAddress(
  { project, service, port, docker }: { project: string; service: string; port: number; docker?: Docker },
  signal: AbortSignal,
): Promise<string> {
  const label = [`${COMPOSE_PROJECT}=${project}`, `${COMPOSE_SERVICE}=${service}`, `${PART_LABEL}=${SUPPORT_PART}`];
  try {
    const client = docker ?? (await dockerClient());
    const [found] = await client.listContainers({ filters: { label }, abortSignal: signal });
    const published = found?.Ports.find(({ PrivatePort, PublicPort }) => PrivatePort === port && PublicPort);
    if (published !== undefined)
      return `${published.IP === "0.0.0.0" ? "127.0.0.1" : published.IP}:${published.PublicPort}`;
  } catch (error) {
    throw dockerError(error, `looking for ${service}`, signal);
  }
  throw new EngineError("not-found", `${service} has no port ${port} on this machine`);
}

/** Nothing here reads limits. */
const ANY_CAPACITY = { cpus: Infinity, memoryBytes: Infinity };

const detailSchema = z.object({
  State: z.object({
    Error: z.string().default(""),
    Health: z.object({ Log: z.array(z.object({ Output: z.string() })).nullish() }).nullish(),
  }),
  HostConfig: z.object({ NetworkMode: z.string().default("default") }),
});

class SupportContainers extends DockerEngine {
  readonly #project: string;

  constructor(docker: Docker, { project }: DockerWatchedOptions, deps: EngineDeps) {
    super(docker, { project, network: "" }, ANY_CAPACITY, isSupport, deps);
    this.#project = project;
  }

  async watched(component: Component, signal: AbortSignal): Promise<WatchedContainer | null> {
    try {
      const container = await this.container(component, signal);
      const raw: unknown = await this.call(`inspecting ${component}`, signal, () =>
        container.inspect({ abortSignal: signal }),
      );
      const found = inspectionSchema.parse(raw);
      const { State } = detailSchema.parse(raw);
      const state = toContainerState(component, found, ANY_CAPACITY);
      return {
        ...state,
        id: found.Id,
        imageId: found.Image,
        startError: State.Error === "" ? null : State.Error,
        healthOutput: State.Health?.Log?.at(-1)?.Output ?? null,
      };
    } catch (error) {
      if (error instanceof EngineError && error.code === "not-found") return null;
      throw error;
    }
  }

  async useImage(component: Component, imageId: string, signal: AbortSignal): Promise<void> {
    const container = await this.container(component, signal);
    await this.call(`changing the image of ${component}`, signal, async () => {
      const { HostConfig } = detailSchema.parse(await container.inspect({ abortSignal: signal }));
      const options = { image: imageId, network: HostConfig.NetworkMode, ours: true };
      await recreateContainer(this.docker, component, container.id, options, signal);
      // A replacement of one that had ended is only made; here it is to run.
      const made = await this.container(component, signal);
      await made.start({ abortSignal: signal }).catch(unlessRunning);
    });
  }

  async keepImage(component: Component, imageId: string, signal: AbortSignal): Promise<void> {
    const { Config, Image } = await this.details(component, signal);
    const repository = repositoryOf(Config.Image);
    if (repository === null || Image !== imageId) return;
    await this.call(`keeping the image of ${component}`, signal, () =>
      this.docker.getImage(imageId).tag({ repo: repository, tag: WORKED_TAG }),
    );
  }

  async *watchedEvents(since: EpochMs | null, signal: AbortSignal): AsyncGenerator<WatchedEvent> {
    try {
      const stream = (await this.docker.getEvents({
        ...(since === null ? {} : { since: since / 1000 }),
        filters: { type: ["container"], label: [`${COMPOSE_PROJECT}=${this.#project}`], event: [...ACTIONS, HEALTH] },
        abortSignal: signal,
      })) as Readable;
      for await (const line of eventLines(stream, signal)) {
        const event = toWatchedEvent(JSON.parse(line));
        if (event !== null) yield event;
      }
    } catch (error) {
      if (!signal.aborted) throw dockerError(error, "reading events", signal);
    }
    if (!signal.aborted) throw new EngineError("engine-unreachable", "the Docker engine ended its event stream");
  }
}

const isSupport = (labels: Readonly<Record<string, string>>): boolean => labels[PART_LABEL] === SUPPORT_PART;

const HEALTH = "health_status";
const ACTIONS = ["start", "die", "kill", "stop", "pause", "unpause", "oom", "destroy"] as const;

const eventSchema = z.object({
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()).default({}) }),
  timeNano: z.number(),
});

function toWatchedEvent(line: unknown): WatchedEvent | null {
  const parsed = eventSchema.safeParse(line);
  if (!parsed.success) return null;
  const { Action, Actor, timeNano } = parsed.data;
  const labels = Actor.Attributes;
  const component = labels[COMPOSE_SERVICE];
  const action = Action.startsWith(HEALTH) ? "health" : ACTIONS.find((known) => known === Action);
  if (component === undefined || action === undefined || !isSupport(labels)) return null;
  if (labels[COMPOSE_ONEOFF]?.toLowerCase() === "true") return null;
  const signalNumber = Number(labels["signal"]);
  return {
    at: Math.floor(timeNano / 1e6) as EpochMs,
    component,
    action,
    containerId: Actor.ID,
    signalNumber: Number.isInteger(signalNumber) ? signalNumber : null,
  };
}

/** `host:5000/name:tag` -> `host:5000/name`; null where the container was made from an id. */
function repositoryOf(image: string): string | null {
  if (image.startsWith("sha256:") || /^[0-9a-f]{64}$/.test(image)) return null;
  const slash = image.lastIndexOf("/");
  const colon = image.indexOf(":", slash + 1);
  return (colon < 0 ? image : image.slice(0, colon)).replace(/@.*$/, "");
}

function unlessRunning(error: unknown): void {
  if ((error as { statusCode?: number }).statusCode !== 304) throw error;
}
