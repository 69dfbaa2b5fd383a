import type { EpochMs } from "../../base/clock.ts";
import type { WatchedContainer } from "../../engine/watched.ts";
import { risesNow, type WatchMemory } from "./memory.ts";
import type { WatchdogSettings } from "./settings.ts";

export type UnhealthyReason =
  | "exited"
  | "not-started"
  | "paused"
  | "oom-killed"
  | "health-check"
  | "restart-loop"
  | "starting"
  /** Somebody stopped it on purpose. */
  | "stopped";

/** What one look says. Only `Unhealthy` with `curable` and `NotFound` with `curable` are worth an attempt now. */
export type Judgement =
  | { readonly state: "healthy"; readonly text: string }
  | {
      readonly state: "unhealthy";
      readonly reason: UnhealthyReason;
      readonly text: string;
      readonly curable: boolean;
    }
  | { readonly state: "glibc-mismatch"; readonly text: string }
  | { readonly state: "not-found"; readonly text: string; readonly curable: boolean };

export interface Wanted {
  readonly state: "running" | "stopped";
  readonly by: string;
  readonly at: EpochMs;
}

export interface Look {
  readonly at: EpochMs;
  /** Null = there is no such container. */
  readonly container: WatchedContainer | null;
  /** The end of the log of its last run; only read where something is wrong. */
  readonly log: readonly string[];
  /** What people said they want; null = nothing was said. */
  readonly wanted: Wanted | null;
}

/**
 * What glibc's loader prints before it ends with code 1 (`elf/dl-version.c`, `match_symbol`: "version `%s' not found
 * (required by %s)"); libstdc++ and libgcc version their symbols the same way.
 */
const GLIBC = /version [`'"‘]((?:GLIBC|GLIBCXX|CXXABI|GCC)_[A-Za-z0-9_.]+)['"’] not found/;

/**
 * The line of the log that says so; null = none does. Not one of our programs' own lines, which are JSON and may quote
 * what an operator said.
 */
export function glibcLine(log: readonly string[]): string | null {
  return log.findLast((line) => GLIBC.test(line) && !line.trimStart().startsWith("{"))?.trim() ?? null;
}

/** How long after a `kill` a container's end is that kill's doing. Docker's own default grace is 10 s. */
const KILL_TO_END_MS = 60_000;
/** Restarts by the engine's policy within one episode that are a loop and no single mishap. */
const LOOP_RISES = 2;

/** Pure: what a look means, given what is remembered. */
export function judge(look: Look, memory: WatchMemory, settings: WatchdogSettings): Judgement {
  const { container, wanted } = look;
  // What was said before its last start is over.
  const meant = wanted !== null && wanted.at >= (container?.startedAt ?? memory.startedAt ?? 0) ? wanted : null;
  if (meant?.state === "stopped" && container?.status !== "running") return stopped(meant.by);
  if (container === null) return missing(memory, wanted);
  const mismatch = container.status === "running" ? null : mismatchOf(look, container);
  if (mismatch !== null) return { state: "glibc-mismatch", text: mismatch };
  switch (container.status) {
    case "running":
      return running(look, container, memory, settings);
    case "paused":
      return unhealthy("paused", "is paused");
    case "restarting":
      return looping(container, memory, "is down until its policy starts it again");
    case "created":
      return container.startError === null && memory.seenRunning === null
        ? unhealthy("not-started", "was created and never started")
        : unhealthy("not-started", `could not be started: ${container.startError ?? "no reason is known"}`);
    case "exited":
      return ended(container, memory);
    case "missing":
      return unhealthy("exited", "is being removed");
  }
}

function running(look: Look, container: WatchedContainer, memory: WatchMemory, settings: WatchdogSettings): Judgement {
  const rose = risesNow(container, memory);
  // Between two deaths of a crash loop it looks as if it ran.
  const line = rose > 0 ? glibcLine(look.log) : null;
  if (line !== null) return { state: "glibc-mismatch", text: line };
  const recent = memory.riseAt !== null && look.at - memory.riseAt < settings.stableMs / 2;
  if (rose > 0 || (memory.rises >= LOOP_RISES && recent))
    return looping(container, memory, "runs at this moment, and has just been started again by its policy");
  if (container.health === "unhealthy")
    return unhealthy("health-check", `fails its health check${said(container.healthOutput)}`);
  // A child of it was killed; where a health check says that all is well, that is worth more than a guess.
  if (container.health === "none" && memory.oomAt !== null && memory.oomAt >= (container.startedAt ?? 0))
    return unhealthy("oom-killed", "runs, but a process of it was killed for want of memory");
  if (container.health === "starting")
    return memory.badSince === null
      ? { state: "healthy", text: "runs; its health check has not answered yet" }
      : { state: "unhealthy", reason: "starting", text: "runs; its health check has not answered yet", curable: false };
  return { state: "healthy", text: container.health === "healthy" ? "runs and passes its health check" : "runs" };
}

/** One restart by its policy may have been all it needed: it is said, and worth an attempt only when it goes on. */
function looping(container: WatchedContainer, memory: WatchMemory, how: string): Judgement {
  const rises = memory.rises + risesNow(container, memory);
  // Of the run that was seen last, or of a later one.
  const oom = memory.oomAt !== null && memory.oomAt >= (memory.startedAt ?? 0) ? ", killed for want of memory" : "";
  const text = `${how} (${times(rises)} since trouble began${oom}${codeOf(container)})`;
  const reason = oom === "" ? "restart-loop" : "oom-killed";
  return { state: "unhealthy", reason, text, curable: rises >= LOOP_RISES };
}

function ended(container: WatchedContainer, memory: WatchMemory): Judgement {
  const by = stopOf(container, memory);
  if (by !== null) return stopped(by);
  // Docker 20.10 keeps the mark over a start by hand; only with the kernel's code is it this run's.
  const oomThen = memory.oomAt !== null && memory.oomAt >= (container.startedAt ?? 0);
  if (oomThen || (container.oomKilled && container.exitCode === 137))
    return unhealthy("oom-killed", `was killed for want of memory and is down${codeOf(container)}`);
  if (container.startError !== null) return unhealthy("not-started", `could not be started: ${container.startError}`);
  return unhealthy("exited", `ended by itself${codeOf(container)}`);
}

/**
 * Who stopped it on purpose: the engine told of a stop or kill through its API that was not the watchdog's. Null =
 * nobody. A death without one is the program's own, or the kernel's.
 */
function stopOf(container: WatchedContainer, memory: WatchMemory): string | null {
  const { stop } = memory;
  if (stop === null || stop.at < (container.startedAt ?? 0)) return null;
  if (stop.kind === "kill" && (container.finishedAt ?? stop.at) - stop.at > KILL_TO_END_MS) return null;
  return `a ${stop.kind} through the engine`;
}

function missing(memory: WatchMemory, wanted: Look["wanted"]): Judgement {
  // Stopped first and removed then (`compose down`) is an intention; removed while it ran is a loss.
  if (memory.stop?.kind === "stop") return stopped("a stop through the engine, and then a removal");
  if (memory.containerId === null && wanted?.state !== "running")
    return { state: "not-found", text: "was never there: `lab agent up` starts it", curable: false };
  return { state: "not-found", text: "has no container", curable: true };
}

function mismatchOf(look: Look, container: WatchedContainer): string | null {
  if (container.status !== "exited" && container.status !== "restarting") return null;
  return container.exitCode === 0 || container.exitCode === null ? null : glibcLine(look.log);
}

const stopped = (by: string): Judgement => ({
  state: "unhealthy",
  reason: "stopped",
  text: `was stopped on purpose (${by})`,
  curable: false,
});

const unhealthy = (reason: UnhealthyReason, text: string): Judgement => ({
  state: "unhealthy",
  reason,
  text,
  curable: true,
});

const times = (count: number): string => (count === 1 ? "one restart" : `${count} restarts`);
const codeOf = ({ exitCode }: WatchedContainer): string => (exitCode === null ? "" : `, exit code ${exitCode}`);

function said(output: string | null): string {
  const line = output?.trim().split("\n").at(-1)?.trim() ?? "";
  return line === "" ? "" : `: ${line.slice(0, 200)}`;
}
