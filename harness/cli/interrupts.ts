import type { Clock } from "../base/clock.ts";
import { HarnessError } from "../base/errors.ts";

/** A terminal sends Ctrl-C to the whole group and npm passes it on again: two within this time are one. */
const SAME_KEYSTROKE_MS = 500;

/**
 * The first SIGINT or SIGTERM aborts the signal, so that the command heals, stops everything and says so. A later one
 * means that the person will not wait: `force` is called.
 */
export function onInterrupt(
  process: Pick<NodeJS.Process, "on" | "off">,
  clock: Clock,
  force: () => void,
): Disposable & { readonly signal: AbortSignal; stop(why: string): void } {
  const controller = new AbortController();
  let firstAt: number | null = null;
  const handle = (name: NodeJS.Signals) => {
    const now = clock.monotonic();
    if (firstAt === null) {
      firstAt = now;
      controller.abort(new HarnessError("interrupted", `interrupted by ${name}`));
    } else if (now - firstAt > SAME_KEYSTROKE_MS) force();
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return {
    signal: controller.signal,
    stop: (why) => controller.abort(new HarnessError("interrupted", why)),
    [Symbol.dispose]() {
      process.off("SIGINT", handle);
      process.off("SIGTERM", handle);
    },
  };
}
