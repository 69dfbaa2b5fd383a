import { writeFile } from "node:fs/promises";
import { errorText } from "../base/errors.ts";
import type { Clock, Log } from "../protocol.ts";

const EVERY_MS = 5_000;

/**
 * Writes the time into a file every 5 s until the signal aborts: whoever looks at the file's age sees whether this
 * program still turns, without a port to ask at. Never throws.
 */
export async function showAlive(
  path: string,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      await writeFile(path, `${clock.now()}\n`, { signal });
      await clock.sleep(EVERY_MS, signal);
    }
  } catch (error) {
    if (!signal.aborted) log.error("alive.not-written", { path, why: errorText(error) });
  }
}
