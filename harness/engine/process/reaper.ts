import { spawn } from "node:child_process";

/**
 * A shell that reads pids from a pipe and, when the pipe ends, kills those that are still on its list. Nodes leave by
 * themselves when the supervisor is gone (end of their stdin), but a frozen one cannot: this is for it.
 */
const SCRIPT = `
pids=" "
while read -r op pid; do
  case "$op" in
    +) pids="$pids$pid " ;;
    -) pids="\${pids%% $pid *} \${pids#* $pid }" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
`;

export interface Reaper {
  add(pid: number): void;
  /** Called once the process has been waited for; until then its number cannot mean another. */
  remove(pid: number): void;
}

/** Starts it in a session of its own, so that what kills the supervisor's session leaves it alive. */
export function startReaper(): Reaper {
  const child = spawn("/bin/sh", ["-c", SCRIPT], { detached: true, stdio: ["pipe", "ignore", "ignore"], cwd: "/" });
  // It never ends before us; if somebody kills it, the nodes still see the end of their stdin.
  child.stdin.on("error", () => undefined);
  child.on("error", () => undefined);
  child.unref();
  return {
    add: (pid) => void child.stdin.write(`+ ${pid}\n`),
    remove: (pid) => void child.stdin.write(`- ${pid}\n`),
  };
}
