import type { AddRoute, ControlContext } from "./signed-route.ts";
import type { ServerCore } from "./core.ts";
import { checked } from "./parse-command.ts";
import { queries } from "./routes.ts";

/** A line that says nothing, so that neither end takes a silent stream for a dead one. */
const BEAT_MS = 15_000;

export function eventRoutes(core: ServerCore, route: AddRoute): void {
  const { hub, options, deps, limits } = core;

  route("GET", "/api/v1/events", "events:read", async (c, _, gone) => {
    const { after, timeout } = checked(queries.events, c.req.query());
    const until = AbortSignal.any([gone, core.ending]);
    const from = c.req.header("last-event-id")?.slice(0, 60) ?? after ?? hub.last;
    if (c.req.header("accept")?.includes("text/event-stream") !== true) {
      const events = await hub.poll(from, Math.min(timeout * 1_000, limits.waitMs), until);
      return c.json({ events, last: events.at(-1)?.id ?? from });
    }
    return stream(c, until, deps, async function* (open) {
      let last = from;
      while (!open.aborted)
        for (const event of await hub.poll(last, BEAT_MS, open)) {
          last = event.id;
          yield event;
        }
    });
  });

  // From the engine itself and not from the hub: nothing that was caused before this request is in it.
  route("GET", "/api/v1/engine/events", "containers:read", (c, _, gone) => {
    const until = AbortSignal.any([gone, core.ending]);
    return stream(c, until, deps, async function* (open) {
      for await (const data of options.engine.events(open)) yield { id: String(data.at), type: "engine", data };
    });
  });
}

interface Event {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
}

/** Events that wait for a reader who does not read; then the stream ends, and who comes back is told what it missed. */
const MOST_UNREAD = 4_000;

/** Server-sent events. The first line says that listening has begun; `events` is asked before that. */
function stream(
  c: ControlContext,
  until: AbortSignal,
  { clock }: Pick<ServerCore["deps"], "clock">,
  events: (open: AbortSignal) => AsyncIterable<Event>,
): Response {
  const encoder = new TextEncoder();
  const over = new AbortController();
  const open = AbortSignal.any([until, over.signal]);
  const source = new ReadableStream<Uint8Array>({
    async start(controller) {
      const say = (text: string): void => {
        if (over.signal.aborted) return;
        controller.enqueue(encoder.encode(text));
        if ((controller.desiredSize ?? 0) > -MOST_UNREAD) return;
        over.abort("the reader does not read");
        c.env.outgoing.destroy();
      };
      say(": listening\n\n");
      void beat(say, open, clock);
      try {
        for await (const { id, type, data } of events(open))
          say(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
      } catch {
        // It ends; who reads comes back and is told what is wrong.
      }
      if (over.signal.aborted) return;
      over.abort("it is over");
      controller.close();
    },
    cancel: () => over.abort("nobody reads it"),
  });
  return c.body(source, 200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
}

async function beat(
  say: (text: string) => void,
  signal: AbortSignal,
  clock: ServerCore["deps"]["clock"],
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(BEAT_MS, signal).catch(() => {});
    if (!signal.aborted) say(": \n\n");
  }
}
