import type Docker from "dockerode";
import { z } from "zod";
import { EngineError, errorText } from "../base/errors.ts";
import type { Component, ContainerState, Deps, Engine, EngineEvent, EpochMs } from "../protocol.ts";
import { dockerClient, dockerError, statusOf } from "./docker-client.ts";
import { dockerEvents } from "./docker-events.ts";
import { dockerExec } from "./docker-exec.ts";
import { inspectionSchema, toContainerState, type Capacity, type Inspection } from "./docker-inspect.ts";
import { NetworkLinks } from "./docker-network.ts";
import { recreateContainer } from "./docker-recreate.ts";
import { toContainerStats } from "./docker-stats.ts";
import { parseLogs } from "./docker-streams.ts";
import { limitUpdate } from "./docker-update.ts";
import { COMPOSE_ONEOFF, COMPOSE_PROJECT, COMPOSE_SERVICE, PART_LABEL, SUPPORT_PART } from "./labels.ts";

export interface DockerEngineOptions {
  /** Compose project that the engine is bound to; nothing else exists for it. */
  readonly project: string;
  /** Name of the instance's own network. */
  readonly network: string;
  /** Default: DOCKER_HOST, else the CLI's current context, else `/var/run/docker.sock`. */
  readonly docker?: Docker;
}

export type EngineDeps = Pick<Deps, "clock" | "ids" | "log">;

/**
 * The operator's engine: the lab's own containers do not exist for it.
 *
 * @throws EngineError `engine-unreachable`, `engine-permission`: says what to do.
 */
export async function openOperatorDockerEngine(
  options: DockerEngineOptions,
  deps: EngineDeps,
  signal?: AbortSignal,
): Promise<Engine> {
  const docker = options.docker ?? (await dockerClient());
  return new DockerEngine(docker, options, await capacityOf(docker, signal), notSupport, deps);
}

type Labels = Readonly<Record<string, string>>;

const notSupport = (labels: Labels): boolean => labels[PART_LABEL] !== SUPPORT_PART;

/** What the machine has. @throws EngineError `engine-unreachable`, `engine-permission` */
export async function capacityOf(docker: Docker, signal = new AbortController().signal): Promise<Capacity> {
  try {
    // The types of dockerode do not know that `info` takes a signal, as every request does.
    const info: unknown = await docker.info({ abortSignal: signal } as never);
    const { NCPU, MemTotal } = z.object({ NCPU: z.number(), MemTotal: z.number() }).parse(info);
    return { cpus: NCPU, memoryBytes: MemTotal };
  } catch (error) {
    throw dockerError(error, "connecting", signal);
  }
}

/** One compose project through a Docker engine; of its containers only those exist whose labels are `visible`. */
export class DockerEngine implements Engine {
  readonly kind = "docker" as const;
  readonly network: string;
  protected readonly docker: Docker;
  protected readonly deps: EngineDeps;
  readonly #project: string;
  readonly #capacity: Capacity;
  readonly #visible: (labels: Labels) => boolean;
  readonly #links: NetworkLinks;
  readonly #closed = new AbortController();

  constructor(
    docker: Docker,
    options: DockerEngineOptions,
    capacity: Capacity,
    visible: (labels: Labels) => boolean,
    deps: EngineDeps,
  ) {
    this.docker = docker;
    this.network = options.network;
    this.deps = deps;
    this.#project = options.project;
    this.#capacity = capacity;
    this.#visible = visible;
    this.#links = new NetworkLinks(docker, options.network);
  }

  async list(signal: AbortSignal): Promise<readonly ContainerState[]> {
    const found = await this.call("listing containers", signal, () => this.#find(null, signal));
    const components = [...new Set(found.map((container) => container.component))].sort();
    const states = await Promise.all(components.map((component) => this.inspect(component, signal).catch(gone)));
    return states.filter((state) => state !== null);
  }

  async inspect(component: Component, signal: AbortSignal): Promise<ContainerState> {
    return toContainerState(component, await this.details(component, signal), this.#capacity);
  }

  start(component: Component, signal: AbortSignal): Promise<void> {
    return this.#act(component, "start", signal, isStatus("running"), (container) =>
      container.start({ abortSignal: signal }),
    );
  }

  stop(component: Component, { graceMs }: { readonly graceMs?: number }, signal: AbortSignal): Promise<void> {
    return this.#act(component, "stop", signal, isStopped, (container) =>
      container.stop({ ...seconds(graceMs), abortSignal: signal }),
    );
  }

  kill(component: Component, { signalName }: { readonly signalName?: string }, signal: AbortSignal): Promise<void> {
    return this.#act(component, "kill", signal, isStopped, (container) =>
      container.kill({ signal: signalName ?? "SIGKILL", abortSignal: signal }),
    );
  }

  restart(component: Component, { graceMs }: { readonly graceMs?: number }, signal: AbortSignal): Promise<void> {
    return this.#act(component, "restart", signal, never, (container) =>
      container.restart({ ...seconds(graceMs), abortSignal: signal }),
    );
  }

  pause(component: Component, signal: AbortSignal): Promise<void> {
    return this.#act(component, "pause", signal, isStatus("paused"), (container) =>
      container.pause({ abortSignal: signal }),
    );
  }

  unpause(component: Component, signal: AbortSignal): Promise<void> {
    return this.#act(component, "unpause", signal, isStatus("running"), (container) =>
      container.unpause({ abortSignal: signal }),
    );
  }

  exec(
    component: Component,
    argv: readonly string[],
    options: { readonly timeoutMs: number; readonly maxBytes?: number },
    signal: AbortSignal,
  ) {
    return this.call(`exec in ${component}`, signal, async () =>
      dockerExec(await this.container(component, signal), argv, options, this.deps, signal),
    );
  }

  async logs(component: Component, { tail, since }: Parameters<Engine["logs"]>[1], signal: AbortSignal) {
    const { Id, Config } = await this.details(component, signal);
    const options: Docker.ContainerLogsOptions & { follow: false } = {
      stdout: true,
      stderr: true,
      timestamps: true,
      follow: false,
    };
    if (tail !== undefined) options.tail = tail;
    if (since !== undefined) options.since = since / 1000;
    const body = await this.call(`logs of ${component}`, signal, () => this.docker.getContainer(Id).logs(options));
    return parseLogs(body, Config.Tty);
  }

  async stats(component: Component, signal: AbortSignal) {
    const { Id } = await this.details(component, signal);
    const reply: unknown = await this.call(`stats of ${component}`, signal, () =>
      this.docker.getContainer(Id).stats({ stream: false, abortSignal: signal } as { stream: false }),
    );
    return toContainerStats(reply, this.#capacity);
  }

  async connect(component: Component, { aliases }: { readonly aliases?: readonly string[] }, signal: AbortSignal) {
    const found = await this.details(component, signal);
    await this.call(`connecting ${component}`, signal, () => this.#links.connect(component, found, aliases));
  }

  async disconnect(component: Component, signal: AbortSignal): Promise<void> {
    const found = await this.details(component, signal);
    await this.call(`disconnecting ${component}`, signal, () => this.#links.disconnect(component, found));
  }

  async update(component: Component, limits: Parameters<Engine["update"]>[1], signal: AbortSignal): Promise<void> {
    const container = await this.container(component, signal);
    await this.call(`updating ${component}`, signal, () =>
      container.update({ ...limitUpdate(limits, this.#capacity), abortSignal: signal }),
    );
  }

  async recreate(component: Component, { image }: { readonly image?: string }, signal: AbortSignal): Promise<void> {
    const { Id } = await this.details(component, signal);
    await this.call(`recreating ${component}`, signal, () =>
      recreateContainer(this.docker, component, Id, { image, network: this.network }, signal),
    );
  }

  events(signal: AbortSignal): AsyncIterable<EngineEvent> {
    // Now, and not when the caller begins to read: what happens in between must not be missed.
    return this.#eventsSince(this.deps.clock.now(), AbortSignal.any([signal, this.#closed.signal]));
  }

  async *#eventsSince(since: EpochMs, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const options = {
      project: this.#project,
      network: this.network,
      since,
      networkChangeOf: (id: string, at: EpochMs) => this.#networkChangeOf(id, at, signal),
      visible: this.#visible,
    };
    try {
      yield* dockerEvents(this.docker, options, signal);
    } catch (error) {
      if (!signal.aborted) throw dockerError(error, "reading events", signal);
    }
    if (!signal.aborted) throw new EngineError("engine-unreachable", "the Docker engine ended its event stream");
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new EngineError("interrupted", "the engine was closed"));
    return Promise.resolve();
  }

  protected async details(component: Component, signal: AbortSignal): Promise<Inspection> {
    const container = await this.container(component, signal);
    return this.call(`inspecting ${component}`, signal, async () =>
      inspectionSchema.parse(await container.inspect({ abortSignal: signal })),
    );
  }

  protected async container(component: Component, signal: AbortSignal): Promise<Docker.Container> {
    const [found] = await this.call(`looking for ${component}`, signal, () => this.#find(component, signal));
    if (found === undefined) throw new EngineError("not-found", `there is no ${component}`, { details: { component } });
    return this.docker.getContainer(found.id);
  }

  /** Runs one request; what goes wrong becomes an EngineError. */
  protected async call<T>(what: string, signal: AbortSignal, request: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    try {
      return await request();
    } catch (error) {
      throw dockerError(error, what, signal);
    }
  }

  /** While one is being replaced there are two of a name: the running one counts, then the newest. */
  async #find(component: Component | null, signal: AbortSignal) {
    const label = [`${COMPOSE_PROJECT}=${this.#project}`];
    if (component !== null) label.push(`${COMPOSE_SERVICE}=${component}`);
    const found = await this.docker.listContainers({ all: true, filters: { label }, abortSignal: signal });
    return found
      .filter(({ Labels }) => this.#visible(Labels) && Labels[COMPOSE_ONEOFF]?.toLowerCase() !== "true")
      .sort((a, b) => Number(b.State === "running") - Number(a.State === "running") || b.Created - a.Created)
      .map(({ Id, Labels }) => ({ id: Id, component: (Labels[COMPOSE_SERVICE] ?? "") as Component }))
      .filter(({ component: name }) => name !== "");
  }

  /**
   * Docker reports a start as `connect`, `start` and an end as `die`, `disconnect`; those are not acts on the network.
   * A true one happens while the process runs.
   */
  async #networkChangeOf(id: string, at: EpochMs, signal: AbortSignal): Promise<Component | null> {
    try {
      const { Config, State } = inspectionSchema.parse(
        await this.docker.getContainer(id).inspect({ abortSignal: signal }),
      );
      if (Config.Labels[COMPOSE_PROJECT] !== this.#project || !this.#visible(Config.Labels)) return null;
      const running = State.Status === "running" || State.Status === "paused";
      if (!running || Date.parse(State.StartedAt) > at) return null;
      return (Config.Labels[COMPOSE_SERVICE] as Component | undefined) ?? null;
    } catch {
      // Removed meanwhile; its `destroy` tells of it.
      return null;
    }
  }

  /**
   * One act. Docker answers "already so" with 304, 409 or 500, depending on the act and the version, so a refusal
   * counts only when the state is not what was asked for.
   */
  async #act(
    component: Component,
    what: string,
    signal: AbortSignal,
    satisfied: (state: ContainerState) => boolean,
    request: (container: Docker.Container) => Promise<unknown>,
  ): Promise<void> {
    const container = await this.container(component, signal);
    try {
      await request(container);
    } catch (error) {
      const status = statusOf(error);
      if (status === 304) return;
      if (status !== 409 && status !== 500) throw dockerError(error, `${what} ${component}`, signal);
      const state = await this.inspect(component, signal);
      if (satisfied(state)) return;
      if (status === 500 && !/not (running|paused)/i.test(errorText(error)))
        throw dockerError(error, `${what} ${component}`, signal);
      throw new EngineError("wrong-state", `cannot ${what} ${component}: it is ${state.status}`, { cause: error });
    }
  }
}

const isStatus =
  (status: ContainerState["status"]) =>
  (state: ContainerState): boolean =>
    state.status === status;

const isStopped = ({ status }: ContainerState): boolean => status === "exited" || status === "created";
const never = (): boolean => false;

const seconds = (graceMs: number | undefined) => (graceMs === undefined ? {} : { t: Math.ceil(graceMs / 1000) });

function gone(error: unknown): null {
  if (error instanceof EngineError && error.code === "not-found") return null;
  throw error;
}
