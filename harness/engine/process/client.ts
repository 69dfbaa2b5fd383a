import type { IncomingMessage } from "node:http";
import type {
  Component,
  ContainerState,
  ContainerStats,
  Engine,
  EngineEvent,
  EpochMs,
  ExecResult,
  LogLine,
  OwnerEngine,
  Partitionable,
} from "../../protocol.ts";
import { systemClock } from "../../base/clock.ts";
import { EngineError } from "../../base/errors.ts";
import { waitFor } from "../../base/wait.ts";
import { isAlive, type ProcessIdentity } from "./identity.ts";
import { asEngineError, call, openStream } from "./socket-client.ts";
import type { NodeSpec } from "./spec.ts";

/** The owner's engine of embedded nodes: also holds the instance, and keeps processes of ours beside the subject's. */
export interface ProcessOwnerEngine extends Omit<OwnerEngine, keyof Partitionable>, Partitionable {
  readonly kind: "process";
  /** Starts a process that the operator's engine does not know. All other calls reach it by its name. */
  addSupport(spec: Omit<NodeSpec, "support">, signal: AbortSignal): Promise<void>;
  /** Kills it. Idempotent. */
  removeSupport(component: Component, signal: AbortSignal): Promise<void>;
  listSupport(signal: AbortSignal): Promise<readonly ContainerState[]>;
  /** Events of all processes, ours too, beginning with those since then that are still known. Otherwise as `events`. */
  allEvents(since: EpochMs | null, signal: AbortSignal): AsyncIterable<EngineEvent>;
  /** From now on the instance outlives its owners. */
  detach(signal: AbortSignal): Promise<void>;
  /** Ends every process and the supervisor; resolves when they are gone. Idempotent. */
  tearDown(): Promise<void>;
}

export interface ProcessEngineOptions {
  readonly socketPath: string;
}

/** The operator's engine: `engine.sock`. @throws EngineError `engine-unreachable`, `engine-permission`. */
export async function openProcessEngine({ socketPath }: ProcessEngineOptions, signal: AbortSignal): Promise<Engine> {
  return new EngineClient(socketPath, (await call(socketPath, "network", {}, signal)) as string);
}

/**
 * The owner's engine: `owner.sock`. With `hold` the instance lives at least until this is disposed, or this process
 * ends; when the last holder is gone and nobody detached it, it is torn down.
 */
export async function openOwnerEngine(
  { socketPath, hold }: ProcessEngineOptions & { readonly hold: boolean },
  signal: AbortSignal,
): Promise<ProcessOwnerEngine> {
  const network = (await call(socketPath, "network", {}, signal)) as string;
  const held = hold ? await openStream(socketPath, "hold", new AbortController().signal) : null;
  held?.resume();
  return new OwnerClient(socketPath, network, held);
}

const LAST_MOMENT = { timeoutMs: 5_000, everyMs: 5 };

class EngineClient implements Engine {
  readonly kind = "process";
  readonly network: string;
  readonly socketPath: string;
  readonly #closed = new AbortController();
  /** Event streams that are being opened: calls wait for them, so that none of their events is missed. */
  readonly #opening = new Set<Promise<unknown>>();

  constructor(socketPath: string, network: string) {
    this.socketPath = socketPath;
    this.network = network;
  }

  list(signal: AbortSignal): Promise<readonly ContainerState[]> {
    return this.ask("list", {}, signal);
  }
  inspect(component: Component, signal: AbortSignal): Promise<ContainerState> {
    return this.ask("inspect", { component }, signal);
  }
  async start(component: Component, signal: AbortSignal): Promise<void> {
    await this.ask("start", { component }, signal);
  }
  async stop(component: Component, options: { graceMs?: number }, signal: AbortSignal): Promise<void> {
    await this.ask("stop", { component, ...options }, signal);
  }
  async kill(component: Component, options: { signalName?: string }, signal: AbortSignal): Promise<void> {
    await this.ask("kill", { component, ...options }, signal);
  }
  async restart(component: Component, options: { graceMs?: number }, signal: AbortSignal): Promise<void> {
    await this.ask("restart", { component, ...options }, signal);
  }
  async pause(component: Component, signal: AbortSignal): Promise<void> {
    await this.ask("pause", { component }, signal);
  }
  async unpause(component: Component, signal: AbortSignal): Promise<void> {
    await this.ask("unpause", { component }, signal);
  }
  exec(
    component: Component,
    argv: readonly string[],
    options: { timeoutMs: number; maxBytes?: number },
    signal: AbortSignal,
  ): Promise<ExecResult> {
    return this.ask("exec", { component, argv, ...options }, signal);
  }
  logs(component: Component, options: { tail?: number; since?: number }, signal: AbortSignal): Promise<LogLine[]> {
    return this.ask("logs", { component, ...options }, signal);
  }
  stats(component: Component, signal: AbortSignal): Promise<ContainerStats> {
    return this.ask("stats", { component }, signal);
  }
  /** Aliases are a container network's: a node here is always found under its own name. */
  async connect(component: Component, _options: { aliases?: readonly string[] }, signal: AbortSignal): Promise<void> {
    await this.ask("connect", { component }, signal);
  }
  async disconnect(component: Component, signal: AbortSignal): Promise<void> {
    await this.ask("disconnect", { component }, signal);
  }
  async update(
    component: Component,
    limits: { cpus?: number | null; memoryBytes?: number | null; restartPolicy?: string },
    signal: AbortSignal,
  ): Promise<void> {
    await this.ask("update", { component, ...limits }, signal);
  }
  async recreate(component: Component, options: { image?: string }, signal: AbortSignal): Promise<void> {
    await this.ask("recreate", { component, ...options }, signal);
  }

  /** Opened at the call, not at the first `next()`: what later calls on this engine cause is in it. */
  events(signal: AbortSignal): AsyncIterable<EngineEvent> {
    return this.follow("events", signal);
  }

  protected follow(path: string, signal: AbortSignal): AsyncIterable<EngineEvent> {
    const until = AbortSignal.any([signal, this.#closed.signal]);
    const opening = openStream(this.socketPath, path, until);
    const settled = opening.then(
      () => undefined,
      () => undefined,
    );
    this.#opening.add(settled);
    void settled.then(() => this.#opening.delete(settled));
    return eventsOf(opening, until);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
  }

  protected async ask<T>(verb: string, body: object, signal: AbortSignal): Promise<T> {
    await Promise.all(this.#opening);
    return (await call(this.socketPath, verb, body, signal)) as T;
  }
}

class OwnerClient extends EngineClient implements ProcessOwnerEngine {
  readonly #held: IncomingMessage | null;

  constructor(socketPath: string, network: string, held: IncomingMessage | null) {
    super(socketPath, network);
    this.#held = held;
  }

  async crash(component: Component, signal: AbortSignal): Promise<void> {
    await this.ask("crash", { component }, signal);
  }
  async cut(component: Component, options: { peers?: readonly Component[] }, signal: AbortSignal): Promise<void> {
    await this.ask("cut", { component, ...options }, signal);
  }
  async mend(component: Component, signal: AbortSignal): Promise<void> {
    await this.ask("mend", { component }, signal);
  }
  async addSupport(spec: Omit<NodeSpec, "support">, signal: AbortSignal): Promise<void> {
    await this.ask("add-support", spec, signal);
  }
  async removeSupport(component: Component, signal: AbortSignal): Promise<void> {
    await this.ask("remove-support", { component }, signal);
  }
  listSupport(signal: AbortSignal): Promise<readonly ContainerState[]> {
    return this.ask("supports", {}, signal);
  }
  allEvents(since: EpochMs | null, signal: AbortSignal): AsyncIterable<EngineEvent> {
    return this.follow(`all-events?since=${since ?? Number.MAX_SAFE_INTEGER}`, signal);
  }
  async detach(signal: AbortSignal): Promise<void> {
    await this.ask("detach", {}, signal);
  }

  async tearDown(): Promise<void> {
    const signal = new AbortController().signal;
    try {
      // A held connection ends with the supervisor, a little after its answer.
      const held = this.#held ?? (await openStream(this.socketPath, "hold", signal));
      const gone = new Promise<void>((resolve) => (held.closed ? resolve() : held.once("close", resolve)));
      held.resume();
      const supervisor = (await call(this.socketPath, "tear-down", {}, signal)) as ProcessIdentity | null;
      await gone;
      // The kernel closes its sockets a moment before it is gone. The system's clock, as this is no wait of a test.
      const what = "the supervisor to end";
      await waitFor(() => supervisor === null || !isAlive(supervisor), { clock: systemClock, ...LAST_MOMENT, what });
    } catch (error) {
      if ((error as EngineError).code !== "engine-unreachable") throw error;
    }
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#held?.destroy();
  }
}

async function* eventsOf(opening: Promise<IncomingMessage>, signal: AbortSignal): AsyncIterable<EngineEvent> {
  try {
    let rest = "";
    for await (const chunk of (await opening).setEncoding("utf8")) {
      const lines = (rest + (chunk as string)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield JSON.parse(line) as EngineEvent;
    }
    if (!signal.aborted) throw new EngineError("engine-unreachable", "the engine has ended");
  } catch (error) {
    if (!signal.aborted) throw asEngineError(error);
  }
}
