import { errorText } from "../base/errors.ts";
import type { Deps, Engine, EngineEvent } from "../protocol.ts";

const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 5_000;

/**
 * Hands on an engine's events for as long as the signal lets it; a stream that is cut is opened again, with growing
 * pauses. `onGap` is called when events may have been missed. Never throws.
 */
export async function watchEngine(
  engine: Pick<Engine, "events">,
  on: { readonly event: (event: EngineEvent) => void; readonly gap: (why: string) => void },
  { clock, log }: Pick<Deps, "clock" | "log">,
  signal: AbortSignal,
): Promise<void> {
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    let why = "the stream ended";
    try {
      for await (const event of engine.events(signal)) {
        retryMs = FIRST_RETRY_MS;
        on.event(event);
      }
    } catch (error) {
      why = errorText(error);
    }
    if (signal.aborted) return;
    log.warn("engine events interrupted", { why, retryMs });
    on.gap(why);
    await clock.sleep(retryMs, signal).catch(() => {});
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
  }
}
