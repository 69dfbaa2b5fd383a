import { HarnessError } from "./errors.ts";

/** Aborts with `interrupted` at SIGTERM or SIGINT; `what` opens the sentence of its reason. */
export function toldToStop(what = "told to stop"): AbortController {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const)
    process.on(name, () => stop.abort(new HarnessError("interrupted", `${what} (${name})`)));
  return stop;
}

/** Below a supervisor of processes, which sets the variable and holds the other end of stdin: when it is gone, so are we. */
export function stopWithParent(stop: AbortController): void {
  if (process.env["EXIT_WITH_STDIN"] !== "1") return;
  const gone = () => stop.abort(new HarnessError("interrupted", "whoever started it is gone"));
  process.stdin.on("end", gone).on("error", gone).resume();
  // A pipe that is listened to must not keep a program alive that could not start. Of a file there is nothing to unref.
  if ("unref" in process.stdin) process.stdin.unref();
}
