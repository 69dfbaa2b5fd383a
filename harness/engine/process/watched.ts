import { EngineError, errorText } from "../../base/errors.ts";
import { withDeadline } from "../../base/deadline.ts";
import type { Component, ContainerState, Deps, EngineEvent } from "../../protocol.ts";
import type { WatchedContainer, WatchedEngine, WatchedEvent } from "../watched.ts";
import type { ProcessOwnerEngine } from "./client.ts";
import type { NodeSpec } from "./spec.ts";

export interface ProcessWatchedOptions {
  readonly engine: ProcessOwnerEngine;
  /** What makes a support process anew that is gone, by component; asked each time, since the mode may have changed. */
  spec(component: string): Omit<NodeSpec, "support"> | null;
  /** Where a program says how it is (`GET`, 2xx = well), by component. This engine has no health checks of its own. */
  readonly healthUrls: Readonly<Record<string, string>>;
}

/** As Docker's defaults: this many failures in a row make it unhealthy. */
const RETRIES = 3;
const ANSWER_MS = 3_000;

/** Our own processes of one supervisor: the control plane without Docker. */
export function openProcessWatched(options: ProcessWatchedOptions, deps: Pick<Deps, "clock" | "fetch">): WatchedEngine {
  const { engine } = options;
  const checks = new HealthChecks(options.healthUrls, deps);
  return {
    kind: "process",
    inspect: async (component, signal) => {
      try {
        const state = await engine.inspect(component as Component, signal);
        return watchedOf(state, await checks.of(component, state, signal));
      } catch (error) {
        if (error instanceof EngineError && error.code === "not-found") return null;
        throw error;
      }
    },
    logs: async (component, { tail, since }, signal) => {
      const wanted = { tail, ...(since === null ? {} : { since }) };
      return (await engine.logs(component as Component, wanted, signal)).map(({ text }) => text);
    },
    restart: (component, signal) => engine.restart(component as Component, {}, signal),
    unpause: (component, signal) => engine.unpause(component as Component, signal),
    recreate: (component, signal) => recreate(component, options, signal),
    useImage: (component) =>
      Promise.reject(new EngineError("not-supported", `this engine cannot change the image of ${component}`)),
    keepImage: () => Promise.resolve(),
    events: (since, signal) => watchedEvents(engine.allEvents(since, signal)),
    // The engine is its owner's.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function recreate(component: string, { engine, spec }: ProcessWatchedOptions, signal: AbortSignal) {
  const known = await engine.inspect(component as Component, signal).then(
    () => true,
    (error: unknown) => {
      if (error instanceof EngineError && error.code === "not-found") return false;
      throw error;
    },
  );
  if (known) return await engine.recreate(component as Component, {}, signal);
  const made = spec(component);
  if (made === null) throw new EngineError("not-found", `nothing says how ${component} is made`);
  await engine.addSupport(made, signal);
}

function watchedOf(state: ContainerState, health: Health): WatchedContainer {
  return {
    ...state,
    // A process that was removed and added again begins with other counts; there is nothing else to tell them apart.
    id: state.name,
    imageId: state.image,
    startError: null,
    health: health.state,
    healthOutput: health.output,
  };
}

async function* watchedEvents(events: AsyncIterable<EngineEvent>): AsyncGenerator<WatchedEvent> {
  for await (const { at, component, action } of events) {
    if (action === "connect" || action === "disconnect") continue;
    yield { at, component, action, containerId: component, signalNumber: null };
  }
}

interface Health {
  readonly state: ContainerState["health"];
  readonly output: string | null;
}

/** One question for each look; a run that has not answered yet is `starting`, as in Docker's start period. */
class HealthChecks {
  readonly #urls: Readonly<Record<string, string>>;
  readonly #deps: Pick<Deps, "clock" | "fetch">;
  readonly #runs = new Map<string, { startedAt: number | null; failures: number; well: boolean }>();

  constructor(urls: Readonly<Record<string, string>>, deps: Pick<Deps, "clock" | "fetch">) {
    this.#urls = urls;
    this.#deps = deps;
  }

  async of(component: string, { status, startedAt }: ContainerState, signal: AbortSignal): Promise<Health> {
    const url = this.#urls[component];
    if (url === undefined || status !== "running") return { state: "none", output: null };
    const before = this.#runs.get(component);
    const run = before?.startedAt === startedAt ? before : { startedAt, failures: 0, well: false };
    this.#runs.set(component, run);
    const refusal = await this.#refusal(url, signal);
    run.failures = refusal === null ? 0 : run.failures + 1;
    run.well ||= refusal === null;
    if (refusal === null) return { state: "healthy", output: null };
    const state = run.failures >= RETRIES ? "unhealthy" : run.well ? "healthy" : "starting";
    return { state, output: refusal };
  }

  async #refusal(url: string, signal: AbortSignal): Promise<string | null> {
    const { clock, fetch } = this.#deps;
    try {
      return await withDeadline(clock, { ms: ANSWER_MS, what: url, signal }, async (inner) => {
        const answer = await fetch(url, { signal: inner });
        await answer.body?.cancel();
        return answer.ok ? null : `${url} answers ${answer.status}`;
      });
    } catch (error) {
      signal.throwIfAborted();
      return errorText(error);
    }
  }
}
