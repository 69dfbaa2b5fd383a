import type { EpochMs } from "../../harness/base/clock.ts";
import type { WatchedContainer, WatchedEngine, WatchedEvent } from "../../harness/engine/watched.ts";
import type {
  NewWatchdogEvent,
  WatchdogEvent,
  WatchdogIntent,
  WatchdogLog,
  WatchdogTarget,
} from "../../tickets/index.ts";
import type { ManualClock } from "./manual-clock.ts";

/** One container, as a test says that it is; acts are counted and do what the test says. */
export class ScriptedWatched implements WatchedEngine {
  readonly kind = "docker";
  readonly acts: { readonly act: string; readonly atMs: number }[] = [];
  readonly kept: string[] = [];
  container: WatchedContainer | null;
  log: readonly string[] = [];
  /** What an act changes; throw to make the call fail. */
  onAct: (act: string) => void = () => {};
  /** Not null = the engine does not answer. */
  gone: Error | null = null;
  readonly #clock: ManualClock;
  readonly #listeners = new Set<(event: WatchedEvent | null) => void>();

  constructor(clock: ManualClock, component = "compose-agent") {
    this.#clock = clock;
    this.container = {
      component,
      id: "first",
      name: `operator-agent_${component}_1`,
      image: "operator-compose-agent:1",
      imageId: "sha256:aaaa",
      status: "running",
      startedAt: clock.now(),
      finishedAt: null,
      exitCode: null,
      oomKilled: false,
      startError: null,
      restartCount: 0,
      restartPolicy: { name: "on-failure", max: 0 },
      health: "none",
      healthOutput: null,
    };
  }

  set(change: Partial<WatchedContainer>): void {
    if (this.container !== null) this.container = { ...this.container, ...change };
  }

  /** It ends by itself. */
  exit(exitCode: number): void {
    this.set({ status: "exited", exitCode, finishedAt: this.#clock.now() });
  }

  /** It runs, since now. */
  run(): void {
    this.set({ status: "running", exitCode: null, startedAt: this.#clock.now(), health: "none", oomKilled: false });
  }

  tell(action: WatchedEvent["action"], signalNumber: number | null = null): void {
    const { component, id } = this.container ?? { component: "compose-agent", id: "first" };
    const event = { at: this.#clock.now(), component, action, containerId: id, signalNumber };
    for (const listener of this.#listeners) listener(event);
  }

  /** The engine goes away: its stream ends and nothing answers until `back`. */
  leave(): void {
    this.gone = new Error("no answer");
    for (const listener of this.#listeners) listener(null);
  }

  back(): void {
    this.gone = null;
  }

  inspect(): Promise<WatchedContainer | null> {
    return this.gone === null ? Promise.resolve(this.container) : Promise.reject(this.gone);
  }
  logs(): Promise<readonly string[]> {
    return Promise.resolve(this.log);
  }
  restart(_component: string, _signal: AbortSignal): Promise<void> {
    return this.#act("restart");
  }
  unpause(): Promise<void> {
    return this.#act("unpause");
  }
  recreate(_component: string, _signal: AbortSignal): Promise<void> {
    return this.#act("recreate");
  }
  useImage(_component: string, imageId: string): Promise<void> {
    return this.#act(`use-image ${imageId}`);
  }
  keepImage(_component: string, imageId: string): Promise<void> {
    this.kept.push(imageId);
    return Promise.resolve();
  }

  async *events(_since: EpochMs | null, signal: AbortSignal): AsyncGenerator<WatchedEvent> {
    if (this.gone !== null) throw this.gone;
    const queue: (WatchedEvent | null)[] = [];
    let wake = () => {};
    const listener = (event: WatchedEvent | null): void => {
      queue.push(event);
      wake();
    };
    this.#listeners.add(listener);
    const onAbort = () => wake();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        for (const event of queue.splice(0)) {
          if (event === null) throw new Error("the stream ended");
          yield event;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (queue.length > 0 || signal.aborted) resolve();
        });
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", onAbort);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #act(act: string): Promise<void> {
    this.acts.push({ act, atMs: this.#clock.monotonic() });
    try {
      this.onAct(act);
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

/** The side table, in memory; what a second watchdog finds is what went through JSON. */
export class MemoryWatchdogLog implements WatchdogLog {
  readonly #events: WatchdogEvent[] = [];
  readonly #targets = new Map<string, WatchdogTarget>();
  readonly #memories = new Map<string, string>();
  readonly #intents: WatchdogIntent[] = [];

  record(target: WatchdogTarget, memory: unknown, events: readonly NewWatchdogEvent[]): Promise<void> {
    const { deployment, component } = target;
    this.#targets.set(component, target);
    this.#memories.set(component, JSON.stringify(memory));
    for (const event of events) this.#events.push({ ...event, id: this.#events.length + 1, deployment, component });
    return Promise.resolve();
  }
  memory(_deployment: string, component: string): Promise<unknown> {
    return Promise.resolve(JSON.parse(this.#memories.get(component) ?? "null"));
  }
  targets(): Promise<readonly WatchdogTarget[]> {
    return Promise.resolve([...this.#targets.values()]);
  }
  events(): Promise<readonly WatchdogEvent[]> {
    return Promise.resolve(this.#events);
  }
  totals(): Promise<readonly never[]> {
    return Promise.resolve([]);
  }
  intend(intent: WatchdogIntent): Promise<void> {
    this.#intents.push(intent);
    return Promise.resolve();
  }
  intent(): Promise<WatchdogIntent | null> {
    return Promise.resolve(this.#intents.at(-1) ?? null);
  }
}
