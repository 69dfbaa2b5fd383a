import { renameSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { makeFolder } from "../../base/make-folder.ts";
import type {
  Clock,
  Component,
  ContainerState,
  ContainerStats,
  EngineEvent,
  ExecResult,
  LogLine,
} from "../../protocol.ts";
import { EngineError, errorText } from "../../base/errors.ts";
import type { EpochMs } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { execProgram, type ExecOptions } from "./exec.ts";
import { identify, type ProcessIdentity } from "./identity.ts";
import { Links } from "./links.ts";
import { LogRing } from "./log-ring.ts";
import { ManagedProcess } from "./managed-process.ts";
import type { Reaper } from "./reaper.ts";
import { parseRestartPolicy } from "./restart-policy.ts";
import { PIDS_FILE, LINKS_FILE } from "./paths.ts";
import { processStats } from "./stats.ts";
import type { ParsedNodeSpec, SupervisorConfig } from "./spec.ts";

/** Who asks: the operator's socket does not know the support processes. */
export type View = "operator" | "owner";

export interface SupervisorDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly reaper: Reaper;
}

/** As many as Docker keeps (moby `daemon/events`). */
const KEPT_EVENTS = 256;

/** The only parent of an instance's processes. Everything that `Engine` asks of a container, on child processes. */
export class Supervisor {
  readonly network: string;
  readonly #config: SupervisorConfig;
  readonly #deps: SupervisorDeps;
  readonly #processes = new Map<string, ManagedProcess>();
  readonly #pids = new Map<string, ProcessIdentity>();
  readonly #links: Links;
  readonly #listeners = new Map<(event: EngineEvent) => void, { readonly support: boolean }>();
  /** Of all processes, ours too: for a watchdog that was away for a while. */
  #recent: readonly EngineEvent[] = [];
  #closing = false;

  constructor(config: SupervisorConfig, deps: SupervisorDeps) {
    this.#config = config;
    this.#deps = deps;
    this.network = config.network;
    makeFolder(config.stateDir, 0o700);
    this.#links = new Links(path.join(config.stateDir, LINKS_FILE));
    this.#savePids();
    for (const spec of config.nodes) this.#register(spec);
  }

  /** Starts every node that is not only to be created. */
  startAll(): void {
    for (const managed of this.#processes.values()) if (managed.spec.autoStart) managed.start();
  }

  /** Makes the component known and starts it. @throws EngineError `wrong-state` when the name is taken. */
  add(spec: ParsedNodeSpec): void {
    const managed = this.#register(spec);
    if (spec.autoStart) managed.start();
  }

  #register(spec: ParsedNodeSpec): ManagedProcess {
    const name = spec.component;
    if (this.#processes.has(name)) throw new EngineError("wrong-state", `there is already a ${name}`);
    const { clock, reaper } = this.#deps;
    const log = new LogRing({
      folder: path.join(this.#config.stateDir, "logs"),
      component: name,
      clock,
      clean: withoutOurPaths(this.#config.stateDir),
    });
    const managed = new ManagedProcess(spec, {
      clock,
      log,
      emit: (action, exitCode) => this.#emit(spec, action, exitCode),
      pidChanged: (pid) => this.#pidChanged(name, pid, reaper),
    });
    this.#processes.set(name, managed);
    return managed;
  }

  async remove(name: string): Promise<void> {
    const managed = this.#processes.get(name);
    await managed?.destroy();
    this.#processes.delete(name);
  }

  list(view: View | "support"): ContainerState[] {
    return [...this.#processes.values()]
      .filter(({ spec }) => spec.support === (view === "support"))
      .map((managed) => this.#state(managed));
  }

  inspect(name: string, view: View): ContainerState {
    return this.#state(this.#find(name, view));
  }

  start(name: string, view: View): void {
    this.#find(name, view).start();
  }

  stop(name: string, view: View, graceMs?: number): Promise<void> {
    return this.#find(name, view).stop(graceMs);
  }

  async kill(name: string, view: View, signalName = "SIGKILL"): Promise<void> {
    const full = signalName.startsWith("SIG") ? signalName : `SIG${signalName}`;
    if (!(full in os.constants.signals)) throw new EngineError("not-supported", `there is no signal ${signalName}`);
    await this.#find(name, view).kill(full as NodeJS.Signals);
  }

  async restart(name: string, view: View, graceMs?: number): Promise<void> {
    const managed = this.#find(name, view);
    await managed.stop(graceMs);
    managed.start();
  }

  pause(name: string, view: View): void {
    this.#find(name, view).pause();
  }

  unpause(name: string, view: View): void {
    this.#find(name, view).unpause();
  }

  async exec(
    name: string,
    view: View,
    argv: readonly string[],
    options: ExecOptions,
    signal: AbortSignal,
  ): Promise<ExecResult> {
    const managed = this.#find(name, view);
    const { status } = managed.state();
    if (status !== "running") throw new EngineError("wrong-state", `cannot run a program in ${name}: it is ${status}`);
    return await execProgram(managed.spec, argv, options, this.#deps.clock, signal);
  }

  logs(name: string, view: View, options: { tail?: number; since?: EpochMs }): Promise<LogLine[]> {
    return this.#find(name, view).log.read(options);
  }

  stats(name: string, view: View, signal: AbortSignal): Promise<ContainerStats> {
    return processStats(this.#find(name, view).pid, this.#deps.clock, signal);
  }

  setConnected(name: string, view: View, connected: boolean): void {
    const managed = this.#find(name, view);
    if (this.#links.setConnected(name, connected)) this.#emit(managed.spec, connected ? "connect" : "disconnect", null);
  }

  update(
    name: string,
    view: View,
    limits: { cpus?: number | null; memoryBytes?: number | null; restartPolicy?: string },
  ): void {
    const managed = this.#find(name, view);
    for (const [key, what] of [
      ["cpus", "processor"],
      ["memoryBytes", "memory"],
    ] as const)
      if (limits[key] !== undefined) throw new EngineError("not-supported", `this engine has no ${what} limits`);
    if (limits.restartPolicy !== undefined) managed.setRestartPolicy(parseRestartPolicy(limits.restartPolicy));
  }

  async recreate(name: string, view: View, image?: string): Promise<void> {
    const managed = this.#find(name, view);
    if (image !== undefined && image !== managed.spec.image)
      throw new EngineError("not-supported", `this engine cannot change the image of ${name}`);
    await managed.recreate();
    // A new container is attached to its network.
    this.setConnected(name, view, true);
  }

  crash(name: string): Promise<void> {
    return this.#find(name, "owner").crash();
  }

  cut(name: string, peers: readonly string[] | null): void {
    for (const peer of [name, ...(peers ?? [])]) this.#find(peer, "owner");
    this.#links.cut(name, peers);
  }

  mend(name: string): void {
    this.#find(name, "owner");
    this.#links.mend(name);
  }

  /** Events of the subject's components; with `support` those of our own processes too. @returns how to stop listening. */
  listen(listener: (event: EngineEvent) => void, { support = false } = {}): () => void {
    this.#listeners.set(listener, { support });
    return () => void this.#listeners.delete(listener);
  }

  /** What is still known of all processes since then, oldest first. */
  recent(since: number): readonly EngineEvent[] {
    return this.#recent.filter(({ at }) => at >= since);
  }

  /** Ends every process. Idempotent. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#processes.values()].map((managed) => managed.destroy()));
  }

  #find(name: string, view: View): ManagedProcess {
    const managed = this.#processes.get(name);
    if (managed === undefined || (managed.spec.support && view === "operator"))
      throw new EngineError("not-found", `no such component: ${name}`);
    return managed;
  }

  #state(managed: ManagedProcess): ContainerState {
    const { component, image } = managed.spec;
    return {
      component: component as Component,
      name: `${this.#config.project}-${component}-1`,
      image,
      networks: this.#links.isConnected(component) ? [this.network] : [],
      ...managed.state(),
    };
  }

  #emit(spec: ParsedNodeSpec, action: EngineEvent["action"], exitCode: number | null): void {
    if (this.#closing) return;
    const event: EngineEvent = { at: this.#deps.clock.now(), component: spec.component as Component, action, exitCode };
    this.#deps.log.info("engine-event", { ...event, at: undefined });
    this.#recent = [...this.#recent.slice(1 - KEPT_EVENTS), event];
    for (const [listener, { support }] of this.#listeners) if (support || !spec.support) listener(event);
  }

  #pidChanged(name: string, pid: number | null, reaper: Reaper): void {
    const before = this.#pids.get(name);
    if (before !== undefined) reaper.remove(before.pid);
    this.#pids.delete(name);
    const identity = pid === null ? null : identify(pid);
    if (identity !== null) {
      reaper.add(identity.pid);
      this.#pids.set(name, identity);
    }
    this.#savePids();
  }

  /** For a sweep that comes when supervisor and reaper were both killed. */
  #savePids(): void {
    const file = path.join(this.#config.stateDir, PIDS_FILE);
    const pids = { supervisor: identify(process.pid), nodes: [...this.#pids.values()] };
    try {
      writeFileSync(`${file}.next`, JSON.stringify(pids), { mode: 0o600 });
      renameSync(`${file}.next`, file);
    } catch (error) {
      // A full disk, say: the nodes are more important than the net below them.
      this.#deps.log.warn("pids-not-saved", { error: errorText(error) });
    }
  }
}

const SOURCE_ROOT = path.resolve(import.meta.dirname, "../../..");

/** A stack trace of a node names our folders; whoever reads the log sees only the files' names. */
function withoutOurPaths(stateDir: string): (text: string) => string {
  const roots = [stateDir, SOURCE_ROOT].map((root) => root.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`(?:file://)?(?:${roots.join("|")})(?:/[^\\s:()'"]*)?/?`, "g");
  return (text) => text.replace(pattern, (found) => path.posix.basename(found));
}
