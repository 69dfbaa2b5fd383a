import { flushCompileCache } from "node:module";
import { systemClock } from "../../harness/base/clock.ts";

/** By then everything that a node needs to start has been loaded. */
const STARTED_AFTER_MS = 3_000;

/**
 * Ends this process when the one that started it is gone. The process engine's supervisor holds the other end of our
 * stdin and sets the variable; started by hand or in a container, nothing happens. A node calls it first of all.
 */
export function exitWithParent(env: Readonly<Record<string, string | undefined>> = process.env): void {
  if (env["EXIT_WITH_STDIN"] !== "1") return;
  process.stdin.on("end", () => process.exit(0));
  process.stdin.on("error", () => process.exit(0));
  process.stdin.resume();
  // Node writes its compile cache on a clean exit; ours are mostly killed, and each start would compile anew.
  if (env["NODE_COMPILE_CACHE"] !== undefined) void systemClock.sleep(STARTED_AFTER_MS).then(() => flushCompileCache());
}
