import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process that cannot be confused with a later one of the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the system's own words; differs for every process that ever had this number. */
  readonly started: string;
}

/** Null when there is no such process (any more). */
export function identify(pid: number): ProcessIdentity | null {
  const started = process.platform === "linux" ? startedLinux(pid) : startedByPs(pid);
  return started === null ? null : { pid, started };
}

/** True while exactly this process exists; a zombie is gone. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** Sends the signal only if the number still means the same process. @returns whether it was sent. */
export function signalSame(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Start time in clock ticks since boot (field 22 of /proc/pid/stat), with the boot's id since ticks start again. */
function startedLinux(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name and may itself contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return null;
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${fields[19]}`;
  } catch {
    return null;
  }
}

function startedByPs(pid: number): string | null {
  try {
    const [state, ...start] = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C" },
    })
      .trim()
      .split(/\s+/);
    return state === undefined || state === "" || state.startsWith("Z") ? null : start.join(" ");
  } catch {
    return null;
  }
}
