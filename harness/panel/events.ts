import type { Context } from "hono";
import { streamSSE, type SSEStreamingApi } from "hono/streaming";
import type { Deps } from "../protocol.ts";
import type { Gatherer } from "./gather.ts";
import { fragments, type Viewer } from "./web/page.ts";
import { placeOf, step } from "./web/session.ts";

const BEAT_MS = 5_000;
/** Readings come in bursts: what changes within so long goes out together. */
const GATHER_MS = 100;

export interface EventsOptions {
  readonly gatherer: Gatherer;
  readonly viewer: Viewer;
  /** What the browser has seen: `<session>/<entry>`. */
  readonly place: string;
  /** True once whoever looks is no longer signed in. */
  isOver(): boolean;
  readonly signal: AbortSignal;
}

/**
 * What changes, as it changes: `parts` (the parts of the page whose markup is another), `session` (another session has
 * begun: the list of steps begins anew), `step` (with its place as id, so that a browser that comes back goes on there),
 * `now` (our clock, every 5 s: a sign of life).
 */
export function streamEvents(c: Context, options: EventsOptions, deps: Pick<Deps, "clock" | "log">): Response {
  c.header("cache-control", "no-store");
  c.header("x-accel-buffering", "no");
  return streamSSE(c, async (stream) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort(new Error("the browser is gone")));
    await send(stream, options, deps, AbortSignal.any([gone.signal, options.signal]));
  });
}

async function send(
  stream: SSEStreamingApi,
  { gatherer, viewer, place, isOver }: EventsOptions,
  { clock }: Pick<Deps, "clock">,
  signal: AbortSignal,
): Promise<void> {
  let bell = Promise.withResolvers<void>();
  using _watching = gatherer.watch(() => bell.resolve());
  let sent: Readonly<Record<string, string>> = {};
  let [sessionId = "", after = 0] = parsePlace(place);
  let beatMs = -BEAT_MS;
  while (!signal.aborted && !isOver()) {
    bell = Promise.withResolvers<void>();
    const sight = gatherer.sight();
    const now = fragments(sight, viewer);
    const changed = Object.fromEntries(Object.entries(now).filter(([id, markup]) => sent[id] !== markup));
    if (Object.keys(changed).length > 0) await stream.writeSSE({ event: "parts", data: JSON.stringify(changed) });
    sent = now;
    if (sight.session !== null && sight.session.sessionId !== sessionId) {
      [sessionId, after] = [sight.session.sessionId, 0];
      await stream.writeSSE({ event: "session", data: sessionId, id: placeOf(sight, undefined) });
    }
    for (const entry of sight.entries.filter(({ id }) => id > after)) {
      await stream.writeSSE({ event: "step", data: String(step(entry)), id: placeOf(sight, entry) });
      after = entry.id;
    }
    if (clock.monotonic() - beatMs >= BEAT_MS) {
      beatMs = clock.monotonic();
      await stream.writeSSE({ event: "now", data: String(clock.now()) });
    }
    await clock.sleep(GATHER_MS, signal).catch(() => {});
    await within(bell.promise, BEAT_MS, clock, signal);
  }
}

async function within(promise: Promise<void>, ms: number, clock: Deps["clock"], signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  await Promise.race([promise, clock.sleep(ms, AbortSignal.any([signal, over.signal])).catch(() => {})]);
  over.abort(new Error("something has changed"));
}

function parsePlace(place: string): readonly [string, number] | [] {
  const found = /^(.{1,200})\/(\d{1,15})$/.exec(place);
  return found === null ? [] : [found[1] ?? "", Number(found[2])];
}
