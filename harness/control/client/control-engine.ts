import { EngineError, type ErrorCode } from "../../base/errors.ts";
import type {
  Component,
  ContainerState,
  ContainerStats,
  Engine,
  EngineEvent,
  EngineKind,
  EpochMs,
  ExecResult,
  LogLine,
} from "../../protocol.ts";
import { LeaseLostError } from "../../../tickets/index.ts";
import type { CommandInput, CommandName, CommandReport } from "../contract.ts";
import { commandSpec } from "../contract.ts";
import { ControlError } from "./control-error.ts";
import type { ControlClient, ControlEngineOptions } from "./types.ts";

/** What the server refuses the caller, not the engine: an answer for whoever asked, not a failure of ours. */
const NOT_ALLOWED = ["scope-missing", "observe-mode", "approval-required", "approval-invalid"];

/**
 * The subject's containers through the control API, so that tools need not know who holds the engine.
 *
 * @throws EngineError `engine-unreachable`; ControlError when the server refuses the key.
 */
export async function openControlEngine(options: ControlEngineOptions, signal: AbortSignal): Promise<Engine> {
  const found = (await options.client.capabilities(signal)) as { readonly features?: readonly string[] };
  const kind: EngineKind = found.features?.includes("docker") === true ? "docker" : "process";
  const engine = new ControlEngine(options, kind);
  await engine.open(signal);
  return engine;
}

class ControlEngine implements Engine {
  readonly kind: EngineKind;
  network = "";
  readonly #client: ControlClient;
  readonly #options: ControlEngineOptions;
  readonly #closed = new AbortController();
  /** Event streams that are being opened: calls wait for them, so that none of their events is missed. */
  readonly #opening = new Set<Promise<unknown>>();

  constructor(options: ControlEngineOptions, kind: EngineKind) {
    this.#client = options.client;
    this.#options = options;
    this.kind = kind;
  }

  async open(signal: AbortSignal): Promise<void> {
    const { network } = (await this.#ask("health", {}, signal)) as { readonly network: string };
    this.network = network;
  }

  async list(signal: AbortSignal): Promise<readonly ContainerState[]> {
    return (await this.#ask("list", {}, signal)) as ContainerState[];
  }
  async inspect(component: Component, signal: AbortSignal): Promise<ContainerState> {
    return (await this.#ask("inspect", { component }, signal)) as ContainerState;
  }
  async start(component: Component, signal: AbortSignal): Promise<void> {
    await this.#ask("start", { component }, signal);
  }
  async stop(component: Component, { graceMs }: { graceMs?: number }, signal: AbortSignal): Promise<void> {
    await this.#ask("stop", { component, grace_ms: graceMs }, signal);
  }
  async kill(component: Component, { signalName }: { signalName?: string }, signal: AbortSignal): Promise<void> {
    await this.#ask("kill", { component, signal: signalName }, signal);
  }
  async restart(component: Component, { graceMs }: { graceMs?: number }, signal: AbortSignal): Promise<void> {
    await this.#ask("restart", { component, grace_ms: graceMs }, signal);
  }
  async pause(component: Component, signal: AbortSignal): Promise<void> {
    await this.#ask("pause", { component }, signal);
  }
  async unpause(component: Component, signal: AbortSignal): Promise<void> {
    await this.#ask("unpause", { component }, signal);
  }
  async exec(
    component: Component,
    argv: readonly string[],
    { timeoutMs, maxBytes }: { timeoutMs: number; maxBytes?: number },
    signal: AbortSignal,
  ): Promise<ExecResult> {
    const params = { component, argv: [...argv], timeout_ms: timeoutMs, max_bytes: maxBytes };
    return (await this.#ask("exec", params, signal)) as ExecResult;
  }
  async logs(
    component: Component,
    { tail, since }: { tail?: number; since?: EpochMs },
    signal: AbortSignal,
  ): Promise<readonly LogLine[]> {
    // Everything there is, where the caller set no bound: as much as the server gives at once.
    const params = { component, tail: tail ?? MOST_LINES, since_ms: since, limit: MOST_LINES };
    const page = (await this.#ask("logs", params, signal)) as { readonly lines: readonly LogLine[] };
    return page.lines;
  }
  async stats(component: Component, signal: AbortSignal): Promise<ContainerStats> {
    return (await this.#ask("stats", { component }, signal)) as ContainerStats;
  }
  async connect(
    component: Component,
    { aliases }: { aliases?: readonly string[] },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#ask("connect", { component, aliases: aliases === undefined ? undefined : [...aliases] }, signal);
  }
  async disconnect(component: Component, signal: AbortSignal): Promise<void> {
    await this.#ask("disconnect", { component }, signal);
  }
  async update(component: Component, limits: Parameters<Engine["update"]>[1], signal: AbortSignal): Promise<void> {
    const { cpus, memoryBytes, restartPolicy } = limits;
    await this.#ask("update", { component, cpus, memory_bytes: memoryBytes, restart_policy: restartPolicy }, signal);
  }
  async recreate(component: Component, { image }: { image?: string }, signal: AbortSignal): Promise<void> {
    await this.#ask("recreate", { component, image }, signal);
  }

  /** Opened at the call, not at the first `next()`: what later calls on this engine cause is in it. */
  events(signal: AbortSignal): AsyncIterable<EngineEvent> {
    const until = AbortSignal.any([signal, this.#closed.signal]);
    const opening = this.#client.events("/api/v1/engine/events", until);
    const settled = opening.then(
      () => undefined,
      () => undefined,
    );
    this.#opening.add(settled);
    void settled.then(() => this.#opening.delete(settled));
    return engineEvents(opening, until);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new EngineError("interrupted", "the engine was closed"));
  }

  async #ask<N extends CommandName>(name: N, params: CommandInput<NoInfer<N>>, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    await Promise.all(this.#opening);
    const approval = this.#options.approval?.() ?? null;
    const isRead = effectOf(name, params) === "read";
    const options = {
      fence: this.#options.fence?.() ?? null,
      approval: approval === null || isRead ? null : { id: approval },
    };
    let report: CommandReport;
    try {
      report = await this.#client.execute(name, params, options, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw asEngineError(error);
    }
    if (report.status !== "success") throw failureOf(name, report);
    return report.result?.data;
  }
}

const MOST_LINES = 5_000;

function effectOf(name: CommandName, params: object): string {
  const spec = commandSpec(name);
  const read = spec.params.safeParse(params);
  return read.success ? spec.effect(read.data) : "destructive";
}

/** The engine's own error, as the server met it. */
function failureOf(name: string, { status, error, error_code: code }: CommandReport): Error {
  const message = error ?? `${name} failed`;
  if (code === "lease-lost") return new LeaseLostError(message, {});
  if (status === "unknown") return new EngineError("engine-failed", `${message}; look whether it took`);
  return new EngineError((code ?? "engine-failed") as ErrorCode, message);
}

function asEngineError(error: unknown): unknown {
  if (!(error instanceof ControlError)) return error;
  if (error.apiCode === "lease-lost") return new LeaseLostError(error.message, {});
  if (NOT_ALLOWED.includes(error.apiCode)) return new EngineError("not-supported", error.message, { cause: error });
  if (error.apiCode === "malformed") return new EngineError("not-found", error.message, { cause: error });
  return new EngineError("engine-unreachable", `the control server refuses: ${error.message}`, { cause: error });
}

async function* engineEvents(
  opening: Promise<AsyncIterable<{ readonly data: unknown }>>,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent> {
  try {
    for await (const { data } of await opening) yield data as EngineEvent;
  } catch (error) {
    if (!signal.aborted) throw asEngineError(error);
  }
}
