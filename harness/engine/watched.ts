import type { ContainerState } from "../protocol.ts";
import type { EpochMs } from "../base/clock.ts";

/** What an engine knows of one container of ours: more than `Engine` shows of the subject's. */
export interface WatchedContainer {
  readonly component: string;
  /** Differs after every recreation. */
  readonly id: string;
  readonly name: string;
  /** As it was asked for, e.g. `operator-agent:1`. */
  readonly image: string;
  /** What that name meant then. */
  readonly imageId: string;
  readonly status: ContainerState["status"];
  readonly startedAt: EpochMs | null;
  readonly finishedAt: EpochMs | null;
  /** Of its last run; null while it runs. */
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  /** Why the engine could not start it; null = it could. */
  readonly startError: string | null;
  readonly restartCount: number;
  readonly restartPolicy: ContainerState["restartPolicy"];
  readonly health: ContainerState["health"];
  /** What the last health check printed; null = nothing, or there is none. */
  readonly healthOutput: string | null;
}

export interface WatchedEvent {
  readonly at: EpochMs;
  readonly component: string;
  readonly action: "start" | "die" | "kill" | "stop" | "pause" | "unpause" | "oom" | "destroy" | "health";
  readonly containerId: string;
  /** Of a `kill`: the signal's number; null = not known. */
  readonly signalNumber: number | null;
}

/**
 * The way to our own containers, for whoever keeps them alive. Methods that act throw `EngineError`; a component that
 * has no container is null for `inspect` and `not-found` elsewhere.
 */
export interface WatchedEngine extends AsyncDisposable {
  readonly kind: "docker" | "process";
  inspect(component: string, signal: AbortSignal): Promise<WatchedContainer | null>;
  /** Both streams, oldest first. */
  logs(
    component: string,
    options: { readonly tail: number; readonly since: EpochMs | null },
    signal: AbortSignal,
  ): Promise<readonly string[]>;
  /** Also starts one that has ended. */
  restart(component: string, signal: AbortSignal): Promise<void>;
  unpause(component: string, signal: AbortSignal): Promise<void>;
  /** Makes it anew from what describes it: the compose file, or the process's specification. */
  recreate(component: string, signal: AbortSignal): Promise<void>;
  /** The same container on another image (an id). @throws EngineError `not-supported`, `image-missing`. */
  useImage(component: string, imageId: string, signal: AbortSignal): Promise<void>;
  /** Keeps this image from being cleaned up: it may be needed again. No effect where there are no images. */
  keepImage(component: string, imageId: string, signal: AbortSignal): Promise<void>;
  /**
   * From `since` on as far as the engine still knows, then as they happen; ends when the signal aborts.
   * @throws EngineError when the engine goes away.
   */
  events(since: EpochMs | null, signal: AbortSignal): AsyncIterable<WatchedEvent>;
}
