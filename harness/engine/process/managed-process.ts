import { spawn, type ChildProcess } from "node:child_process";
import os from "node:os";
import { makeFolder } from "../../base/make-folder.ts";
import type { ContainerState, EngineEvent, EpochMs, Clock } from "../../protocol.ts";
import { EngineError } from "../../base/errors.ts";
import type { LogRing } from "./log-ring.ts";
import { FRESH, nextRestart, type RestartMemory, type RestartPolicy } from "./restart-policy.ts";
import type { ParsedNodeSpec } from "./spec.ts";

export interface ManagedProcessDeps {
  readonly clock: Clock;
  readonly log: LogRing;
  emit(action: EngineEvent["action"], exitCode: number | null): void;
  /** After each start, and with null after each end. */
  pidChanged(pid: number | null): void;
}

/** How long to wait for the rest of the output of a process that has ended. */
const LAST_WORDS_MS = 100;

/** A child process with the life of a Docker container: states, restart policy, exit codes (128 + signal), events. */
export class ManagedProcess {
  readonly spec: ParsedNodeSpec;
  readonly #deps: ManagedProcessDeps;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #status: "created" | "running" | "paused" | "restarting" | "exited" = "created";
  #startedAt: EpochMs | null = null;
  #startedMs = 0;
  #finishedAt: EpochMs | null = null;
  #exitCode: number | null = null;
  #stoppedByHand = false;
  #policy: RestartPolicy;
  #memory: RestartMemory = FRESH;
  #pendingRestart: AbortController | null = null;

  constructor(spec: ParsedNodeSpec, deps: ManagedProcessDeps) {
    this.spec = spec;
    this.#deps = deps;
    this.#policy = spec.restartPolicy;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get log(): LogRing {
    return this.#deps.log;
  }

  state(): Omit<ContainerState, "component" | "name" | "image" | "networks"> {
    return {
      status: this.#status,
      startedAt: this.#startedAt,
      finishedAt: this.#finishedAt,
      exitCode: this.#child === null ? this.#exitCode : null,
      oomKilled: false,
      restartCount: this.#memory.count,
      health: "none",
      limits: { cpus: null, memoryBytes: null },
      restartPolicy: this.#policy,
    };
  }

  /** As Docker: nothing when it runs or waits for its policy; otherwise the count of restarts begins anew. */
  start(): void {
    if (this.#child !== null || this.#status === "restarting") return;
    this.#memory = FRESH;
    this.#spawn();
  }

  /** Resolves when it has ended. */
  async stop(graceMs: number = this.spec.stopGraceMs): Promise<void> {
    const wasUp = this.#child !== null;
    await this.#end("SIGTERM", graceMs);
    if (wasUp) this.#deps.emit("stop", null);
  }

  /** SIGKILL: resolves when it has ended; other signals: when they are sent. A paused one goes on, as in Docker. */
  async kill(signalName: NodeJS.Signals): Promise<void> {
    if (!this.#signalByHand(signalName)) return;
    if (signalName === "SIGKILL") await this.#ended;
    else if (this.#status === "paused") this.unpause();
  }

  pause(): void {
    if (this.#status === "paused") return;
    this.#requireProcess("pause").kill("SIGSTOP");
    this.#status = "paused";
    this.#deps.emit("pause", null);
  }

  unpause(): void {
    if (this.#status === "running") return;
    this.#requireProcess("unpause").kill("SIGCONT");
    this.#status = "running";
    this.#deps.emit("unpause", null);
  }

  /** Dies as by a bug of its own, so that the policy applies. */
  async crash(): Promise<void> {
    this.#requireProcess("crash").kill("SIGKILL");
    await this.#ended;
  }

  setRestartPolicy(policy: RestartPolicy): void {
    this.#policy = policy;
  }

  /** New process, empty log, counters at zero. */
  async recreate(): Promise<void> {
    await this.stop();
    this.#deps.log.clear();
    this.#policy = this.spec.restartPolicy;
    this.#deps.emit("destroy", null);
    this.start();
  }

  /** For the end of the instance: no events that anybody waits for, no grace. */
  async destroy(): Promise<void> {
    await this.#end("SIGKILL", 0);
    this.#deps.log.close();
  }

  async #end(signalName: NodeJS.Signals, graceMs: number): Promise<void> {
    if (!this.#signalByHand(signalName)) return;
    // A frozen process sees SIGTERM only once it runs again.
    if (this.#status === "paused" && signalName !== "SIGKILL") this.unpause();
    const graceOver = new AbortController();
    const late = this.#deps.clock.sleep(graceMs, graceOver.signal).then(
      () => this.#child?.kill("SIGKILL"),
      () => undefined,
    );
    await this.#ended;
    graceOver.abort();
    await late;
  }

  /** @returns false when there is no process; a restart that was pending is cancelled then. */
  #signalByHand(signalName: NodeJS.Signals): boolean {
    this.#stoppedByHand = true;
    if (this.#child === null) {
      if (this.#pendingRestart !== null) this.#status = "exited";
      this.#pendingRestart?.abort();
      this.#pendingRestart = null;
      return false;
    }
    this.#deps.emit("kill", null);
    this.#child.kill(signalName);
    return true;
  }

  #requireProcess(act: string): ChildProcess {
    if (this.#child === null)
      throw new EngineError("wrong-state", `cannot ${act} ${this.spec.component}: it is ${this.#status}, not running`);
    return this.#child;
  }

  #spawn(): void {
    const { argv, cwd, env } = this.spec;
    makeFolder(cwd, 0o700);
    const child = spawn(process.execPath, argv, {
      cwd,
      env: { ...nodeEnvironment(), ...env, EXIT_WITH_STDIN: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    this.#stoppedByHand = false;
    this.#status = "running";
    this.#startedAt = this.#deps.clock.now();
    this.#startedMs = this.#deps.clock.monotonic();
    child.stdin.on("error", () => undefined);
    child.stdout.on("data", (chunk: Buffer) => this.#deps.log.push("stdout", chunk));
    child.stderr.on("data", (chunk: Buffer) => this.#deps.log.push("stderr", chunk));
    this.#ended = this.#untilEnded(child);
    this.#deps.pidChanged(child.pid ?? null);
    this.#deps.emit("start", null);
  }

  async #untilEnded(child: ChildProcess): Promise<void> {
    const outputClosed = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const exitCode = await new Promise<number>((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? 128 + (os.constants.signals[signal ?? "SIGKILL"] ?? 0)));
      child.once("error", (error) => {
        this.#deps.log.push("stderr", Buffer.from(`${error.message}\n`));
        // Without a pid there will be no exit: 127 is what a shell says of a program that cannot be run.
        if (child.pid === undefined) resolve(127);
      });
    });
    // "exit" may come before the last of the output; whoever reads the log after the event must find it there.
    const enough = new AbortController();
    await Promise.race([outputClosed, this.#deps.clock.sleep(LAST_WORDS_MS, enough.signal).catch(() => undefined)]);
    enough.abort();
    this.#afterEnd(exitCode);
  }

  #afterEnd(exitCode: number): void {
    this.#deps.log.flush();
    this.#child = null;
    this.#exitCode = exitCode;
    this.#finishedAt = this.#deps.clock.now();
    const ranMs = this.#deps.clock.monotonic() - this.#startedMs;
    const again = nextRestart(this.#policy, { exitCode, ranMs, stoppedByHand: this.#stoppedByHand }, this.#memory);
    this.#status = again === null ? "exited" : "restarting";
    this.#deps.pidChanged(null);
    this.#deps.emit("die", exitCode);
    if (again !== null) void this.#restartAfter(again);
  }

  async #restartAfter(memory: RestartMemory): Promise<void> {
    const pending = new AbortController();
    this.#pendingRestart = pending;
    this.#memory = memory;
    try {
      await this.#deps.clock.sleep(memory.delayMs, pending.signal);
    } catch {
      return; // Stopped by hand meanwhile.
    }
    this.#pendingRestart = null;
    this.#spawn();
  }
}

/** What every program of a node gets, whatever its spec says; nothing else of the supervisor's environment. */
export function nodeEnvironment(): Record<string, string> {
  const cache = process.env["NODE_COMPILE_CACHE"];
  return {
    PATH: process.env["PATH"] ?? "",
    TZ: "UTC",
    NODE_NO_WARNINGS: "1",
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
  };
}
