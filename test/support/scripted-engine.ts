import type { Clock, EpochMs } from "../../harness/base/clock.ts";
import { EngineError, HarnessError } from "../../harness/base/errors.ts";
import { withDeadline } from "../../harness/base/deadline.ts";
import type {
  Component,
  ContainerState,
  EngineEvent,
  ExecResult,
  LogLine,
  OwnerEngine,
} from "../../harness/protocol.ts";

/** One container of a scripted engine, and how its process behaves. */
export interface ScriptedContainer {
  readonly component: string;
  readonly image?: string;
  readonly restartPolicy?: ContainerState["restartPolicy"];
  /** Created, not started. */
  readonly created?: boolean;
  /** Printed at each start. */
  readonly prints?: readonly Pick<LogLine, "stream" | "text">[];
  readonly ignoresTerm?: boolean;
  /** Ends by itself so long after each start. */
  readonly exits?: { readonly afterMs: number; readonly code: number; readonly oomKilled?: boolean };
  readonly graceMs?: number;
  /** What programs in it do. Default: refused as not found. */
  readonly exec?: (argv: readonly string[], signal: AbortSignal) => Promise<Omit<ExecResult, "truncated">>;
}

const RUNS_BACK_OFF_MS = 100;

/**
 * Containers in memory with the life of real ones: states, exit codes, policies, logs, events, on the clock that it is
 * given. Passes the engine contract, so that what holds on it holds on the others.
 */
export class ScriptedEngine implements OwnerEngine {
  readonly kind = "process" as const;
  readonly network: string;
  /** Every act, in order: `start tikv1`. */
  readonly acts: string[] = [];
  /** Thrown by every call while set: the engine is gone. */
  broken: Error | null = null;
  readonly #clock: Clock;
  readonly #containers: ReadonlyMap<Component, Container>;
  readonly #listeners = new Set<(event: EngineEvent) => void>();

  constructor(clock: Clock, containers: readonly ScriptedContainer[], network = "tikv_default") {
    this.#clock = clock;
    this.network = network;
    this.#containers = new Map(
      containers.map((spec) => [
        spec.component as Component,
        new Container(spec, clock, network, (event) => this.#listeners.forEach((tell) => tell(event))),
      ]),
    );
    for (const container of this.#containers.values()) if (container.spec.created !== true) container.start(false);
  }

  async list(signal: AbortSignal): Promise<readonly ContainerState[]> {
    this.#check(signal);
    return [...this.#containers.values()].map((container) => container.state());
  }

  async inspect(component: Component, signal: AbortSignal): Promise<ContainerState> {
    return this.#container(component, signal).state();
  }

  /** Makes a container look as a recording says, whatever led there. */
  set(component: string, state: Partial<ContainerState>, log: readonly string[] = []): void {
    const container = this.#containers.get(component as Component);
    if (container === undefined) throw new Error(`no ${component}`);
    container.force(state, log);
  }

  async start(component: Component, signal: AbortSignal): Promise<void> {
    this.#act("start", component, signal).start(false);
  }

  async stop(component: Component, { graceMs }: { readonly graceMs?: number }, signal: AbortSignal): Promise<void> {
    await this.#act("stop", component, signal).stop(graceMs);
  }

  async kill(component: Component, { signalName }: { readonly signalName?: string }, signal: AbortSignal) {
    this.#act("kill", component, signal).kill(signalName ?? "SIGKILL");
  }

  async restart(component: Component, { graceMs }: { readonly graceMs?: number }, signal: AbortSignal): Promise<void> {
    const container = this.#act("restart", component, signal);
    await container.stop(graceMs);
    container.start(false);
  }

  async pause(component: Component, signal: AbortSignal): Promise<void> {
    this.#act("pause", component, signal).pause();
  }

  async unpause(component: Component, signal: AbortSignal): Promise<void> {
    this.#act("unpause", component, signal).unpause();
  }

  async exec(
    component: Component,
    argv: readonly string[],
    options: { readonly timeoutMs: number; readonly maxBytes?: number },
    signal: AbortSignal,
  ): Promise<ExecResult> {
    const container = this.#container(component, signal);
    if (container.state().status !== "running") throw new EngineError("wrong-state", `${component} does not run`);
    const run = container.spec.exec;
    if (run === undefined) throw new EngineError("not-supported", `no program ${argv[0] ?? ""} in ${component}`);
    const what = `${argv[0] ?? ""} in ${component}`;
    const done = await withDeadline(this.#clock, { ms: options.timeoutMs, what, signal }, (inner) => run(argv, inner));
    const limit = options.maxBytes ?? Infinity;
    const [stdout, stderr] = [done.stdout.slice(0, limit), done.stderr.slice(0, limit)];
    return { ...done, stdout, stderr, truncated: stdout !== done.stdout || stderr !== done.stderr };
  }

  async logs(
    component: Component,
    { tail, since }: { readonly tail?: number; readonly since?: EpochMs },
    signal: AbortSignal,
  ): Promise<readonly LogLine[]> {
    const lines = this.#container(component, signal).log.filter(({ at }) => since === undefined || (at ?? 0) >= since);
    return tail === undefined ? lines : lines.slice(-tail);
  }

  async stats(component: Component, signal: AbortSignal) {
    const { status, limits } = this.#container(component, signal).state();
    const up = status === "running" || status === "paused";
    return { cpuCores: up ? 0.1 : 0, memoryBytes: up ? 1e8 : 0, memoryLimitBytes: limits.memoryBytes };
  }

  async connect(component: Component, _: { readonly aliases?: readonly string[] }, signal: AbortSignal): Promise<void> {
    this.#act("connect", component, signal).attach(true);
  }

  async disconnect(component: Component, signal: AbortSignal): Promise<void> {
    this.#act("disconnect", component, signal).attach(false);
  }

  async update(
    component: Component,
    limits: { readonly cpus?: number | null; readonly memoryBytes?: number | null; readonly restartPolicy?: string },
    signal: AbortSignal,
  ): Promise<void> {
    this.#act("update", component, signal).update(limits);
  }

  async recreate(component: Component, options: { readonly image?: string }, signal: AbortSignal): Promise<void> {
    this.#act("recreate", component, signal).recreate(options.image);
  }

  async crash(component: Component, signal: AbortSignal): Promise<void> {
    this.#container(component, signal).crash();
  }

  async cut(component: Component, _: { readonly peers?: readonly Component[] }, signal: AbortSignal): Promise<void> {
    this.#container(component, signal);
  }

  async mend(component: Component, signal: AbortSignal): Promise<void> {
    this.#container(component, signal);
  }

  events(signal: AbortSignal): AsyncIterable<EngineEvent> {
    const queue: EngineEvent[] = [];
    let wake = Promise.withResolvers<void>();
    const tell = (event: EngineEvent): void => {
      queue.push(event);
      wake.resolve();
    };
    this.#listeners.add(tell);
    signal.addEventListener("abort", () => wake.resolve(), { once: true });
    const listeners = this.#listeners;
    return (async function* () {
      try {
        while (!signal.aborted) {
          const event = queue.shift();
          if (event !== undefined) yield event;
          else {
            wake = Promise.withResolvers<void>();
            if (queue.length === 0 && !signal.aborted) await wake.promise;
          }
        }
      } finally {
        listeners.delete(tell);
      }
    })();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const container of this.#containers.values()) container.forget();
  }

  #check(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.broken !== null) throw this.broken;
  }

  #container(component: Component, signal: AbortSignal): Container {
    this.#check(signal);
    const container = this.#containers.get(component);
    if (container === undefined) throw new EngineError("not-found", `no component ${component}`);
    return container;
  }

  #act(what: string, component: Component, signal: AbortSignal): Container {
    const container = this.#container(component, signal);
    this.acts.push(`${what} ${component}`);
    return container;
  }
}

class Container {
  readonly spec: ScriptedContainer;
  log: LogLine[] = [];
  readonly #clock: Clock;
  readonly #network: string;
  readonly #tell: (event: EngineEvent) => void;
  #state: ContainerState;
  /** Ends what the present life of the process was going to do. */
  #life = new AbortController();
  #lastStart = 0;

  constructor(spec: ScriptedContainer, clock: Clock, network: string, tell: (event: EngineEvent) => void) {
    this.spec = spec;
    this.#clock = clock;
    this.#network = network;
    this.#tell = tell;
    this.#state = {
      component: spec.component as Component,
      name: `tikv-${spec.component}-1`,
      image: spec.image ?? "pingcap/tikv:v8.5.5",
      status: "created",
      startedAt: null,
      finishedAt: null,
      exitCode: null,
      oomKilled: false,
      restartCount: 0,
      health: "none",
      networks: [network],
      limits: { cpus: null, memoryBytes: null },
      restartPolicy: spec.restartPolicy ?? { name: "unless-stopped", max: 0 },
    };
  }

  state(): ContainerState {
    return this.#state;
  }

  force(state: Partial<ContainerState>, log: readonly string[]): void {
    this.#life.abort();
    this.#set(state);
    for (const text of log) this.#print({ stream: "stderr", text });
  }

  start(byPolicy: boolean): void {
    if (this.#isUp()) return;
    // Two starts within one millisecond are still two.
    this.#lastStart = Math.max(this.#clock.now(), this.#lastStart + 1);
    const restartCount = byPolicy ? this.#state.restartCount + 1 : 0;
    this.#set({
      status: "running",
      startedAt: this.#lastStart as EpochMs,
      exitCode: null,
      oomKilled: false,
      restartCount,
    });
    this.#life = new AbortController();
    for (const line of this.spec.prints ?? []) this.#print(line);
    this.#event("start");
    const { exits } = this.spec;
    if (exits !== undefined)
      this.#later(exits.afterMs, () => this.#exit(exits.code, { byItself: true, oomKilled: exits.oomKilled ?? false }));
  }

  async stop(graceMs = this.spec.graceMs ?? 10_000): Promise<void> {
    if (!this.#isUp()) return;
    this.#event("kill");
    if (this.spec.ignoresTerm === true) await this.#clock.sleep(graceMs);
    this.#exit(this.spec.ignoresTerm === true ? 137 : 0, { byItself: false });
    this.#event("stop");
  }

  kill(signalName: string): void {
    if (!this.#isUp()) return;
    this.#event("kill");
    this.#exit(signalName === "SIGKILL" ? 137 : 143, { byItself: false });
  }

  crash(): void {
    if (this.#isUp()) this.#exit(137, { byItself: true });
  }

  pause(): void {
    if (this.#state.status === "paused") return;
    if (this.#state.status !== "running") throw new EngineError("wrong-state", `${this.spec.component} does not run`);
    this.#set({ status: "paused" });
    this.#event("pause");
  }

  unpause(): void {
    if (this.#state.status !== "paused") return;
    this.#set({ status: "running" });
    this.#event("unpause");
  }

  attach(wanted: boolean): void {
    if (this.#state.networks.length > 0 === wanted) return;
    this.#set({ networks: wanted ? [this.#network] : [] });
    this.#event(wanted ? "connect" : "disconnect");
  }

  update(change: {
    readonly cpus?: number | null;
    readonly memoryBytes?: number | null;
    readonly restartPolicy?: string;
  }) {
    const [name, max = "0"] = (change.restartPolicy ?? "").split(":");
    this.#set({
      limits: {
        cpus: change.cpus === undefined ? this.#state.limits.cpus : change.cpus,
        memoryBytes: change.memoryBytes === undefined ? this.#state.limits.memoryBytes : change.memoryBytes,
      },
      ...(change.restartPolicy === undefined
        ? {}
        : { restartPolicy: { name: name as ContainerState["restartPolicy"]["name"], max: Number(max) } }),
    });
  }

  recreate(image: string | undefined): void {
    if (this.#isUp()) this.#exit(137, { byItself: false });
    this.log = [];
    this.#set({ restartCount: 0, networks: [this.#network], ...(image === undefined ? {} : { image }) });
    this.start(false);
  }

  forget(): void {
    this.#life.abort();
  }

  #exit(
    code: number,
    { byItself, oomKilled = false }: { readonly byItself: boolean; readonly oomKilled?: boolean },
  ): void {
    this.#life.abort();
    this.#set({ status: "exited", exitCode: code, oomKilled, finishedAt: this.#clock.now() });
    this.#event("die", code);
    const { name, max } = this.#state.restartPolicy;
    const wanted = name === "always" || name === "unless-stopped" || (name === "on-failure" && code !== 0);
    if (!byItself || !wanted || (name === "on-failure" && max > 0 && this.#state.restartCount >= max)) return;
    this.#set({ status: "restarting" });
    this.#life = new AbortController();
    this.#later(RUNS_BACK_OFF_MS, () => this.start(true));
  }

  #later(ms: number, task: () => void): void {
    this.#clock.sleep(ms, this.#life.signal).then(task, () => {});
  }

  #isUp(): boolean {
    return this.#state.status === "running" || this.#state.status === "paused";
  }

  #set(change: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...change };
  }

  #print(line: Pick<LogLine, "stream" | "text">): void {
    this.log.push({ ...line, at: this.#clock.now() });
  }

  #event(action: EngineEvent["action"], exitCode: number | null = null): void {
    this.#tell({ at: this.#clock.now(), component: this.#state.component, action, exitCode });
  }
}

/** What every call throws once the engine's socket is gone. */
export function engineGone(): HarnessError {
  return new EngineError("engine-unreachable", "the engine does not answer");
}
