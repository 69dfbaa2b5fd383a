import type { AddRoute, ControlContext } from "./app.ts";
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
    return stream(c, until, deps, async function* () {
      let last = from;
      while (!until.aborted)
        for (const event of await hub.poll(last, BEAT_MS, until)) {
          last = event.id;
          yield event;
        }
    });
  });

  // From the engine itself and not from the hub: nothing that was caused before this request is in it.
  route("GET", "/api/v1/engine/events", "containers:read", (c, _, gone) => {
    const until = AbortSignal.any([gone, core.ending]);
    const events = options.engine.events(until);
    return stream(c, until, deps, async function* () {
      for await (const data of events) yield { id: String(data.at), type: "engine", data };
    });
  });
}

interface Event {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
}

/** Server-sent events. The first line says that listening has begun. */
function stream(
  c: ControlContext,
  until: AbortSignal,
  { clock }: Pick<ServerCore["deps"], "clock">,
  events: () => AsyncIterable<Event>,
): Response {
  const encoder = new TextEncoder();
  const over = new AbortController();
  const source = new ReadableStream<Uint8Array>({
    async start(controller) {
      const say = (text: string): void => {
        if (!over.signal.aborted) controller.enqueue(encoder.encode(text));
      };
      say(": listening\n\n");
      void beat(say, AbortSignal.any([until, over.signal]), clock);
      try {
        for await (const { id, type, data } of events())
          say(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
      } catch {
        // It ends; who reads comes back and is told what is wrong.
      }
      over.abort();
      controller.close();
    },
    cancel: () => over.abort(),
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
