import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { EngineError, HarnessError, errorText } from "../../base/errors.ts";
import { listenPrivately } from "../../base/listen-privately.ts";
import type { EpochMs } from "../../base/clock.ts";
import type { EngineEvent } from "../../protocol.ts";
import { identify } from "./identity.ts";
import { nodeSpecSchema } from "./spec.ts";
import type { Supervisor, View } from "./supervisor.ts";

/** What the owner's socket can do beside the engine: decided by `supervisor-main.ts`. */
export interface Ownership {
  /** An owner holds on; the returned function is called when its connection is gone. */
  hold(): () => void;
  /** From now on the instance outlives its owners. */
  detach(): void;
  tearDown(): Promise<void>;
}

const MAX_BODY_BYTES = 1024 * 1024;

const component = z.string();
const graceMs = z.number().nonnegative().optional();

interface Call {
  readonly supervisor: Supervisor;
  readonly view: View;
  readonly signal: AbortSignal;
}

type Verb = (body: unknown, call: Call) => unknown;

const verb =
  <S extends z.ZodType>(schema: S, run: (input: z.output<S>, call: Call) => unknown): Verb =>
  (body, call) =>
    run(schema.parse(body), call);

/** Both sockets. One row per method of `Engine`. */
const ENGINE_VERBS: Readonly<Record<string, Verb>> = {
  network: verb(z.object({}), (_, { supervisor }) => supervisor.network),
  list: verb(z.object({}), (_, { supervisor, view }) => supervisor.list(view)),
  inspect: verb(z.object({ component }), (o, { supervisor, view }) => supervisor.inspect(o.component, view)),
  start: verb(z.object({ component }), (o, { supervisor, view }) => supervisor.start(o.component, view)),
  stop: verb(z.object({ component, graceMs }), (o, { supervisor, view }) =>
    supervisor.stop(o.component, view, o.graceMs),
  ),
  kill: verb(z.object({ component, signalName: z.string().optional() }), (o, { supervisor, view }) =>
    supervisor.kill(o.component, view, o.signalName),
  ),
  restart: verb(z.object({ component, graceMs }), (o, { supervisor, view }) =>
    supervisor.restart(o.component, view, o.graceMs),
  ),
  pause: verb(z.object({ component }), (o, { supervisor, view }) => supervisor.pause(o.component, view)),
  unpause: verb(z.object({ component }), (o, { supervisor, view }) => supervisor.unpause(o.component, view)),
  exec: verb(
    z.object({
      component,
      argv: z.array(z.string()).min(1),
      timeoutMs: z.number().positive(),
      maxBytes: z.int().positive().optional(),
    }),
    (o, { supervisor, view, signal }) => supervisor.exec(o.component, view, o.argv, o, signal),
  ),
  logs: verb(
    z.object({ component, tail: z.int().nonnegative().optional(), since: z.number().optional() }),
    (o, { supervisor, view }) =>
      supervisor.logs(o.component, view, {
        ...(o.tail === undefined ? {} : { tail: o.tail }),
        ...(o.since === undefined ? {} : { since: o.since as EpochMs }),
      }),
  ),
  stats: verb(z.object({ component }), (o, { supervisor, view, signal }) =>
    supervisor.stats(o.component, view, signal),
  ),
  connect: verb(z.object({ component }), (o, { supervisor, view }) => supervisor.setConnected(o.component, view, true)),
  disconnect: verb(z.object({ component }), (o, { supervisor, view }) =>
    supervisor.setConnected(o.component, view, false),
  ),
  update: verb(
    z.object({
      component,
      cpus: z.number().nullish(),
      memoryBytes: z.number().nullish(),
      restartPolicy: z.string().optional(),
    }),
    (o, { supervisor, view }) =>
      supervisor.update(o.component, view, {
        ...(o.cpus === undefined ? {} : { cpus: o.cpus }),
        ...(o.memoryBytes === undefined ? {} : { memoryBytes: o.memoryBytes }),
        ...(o.restartPolicy === undefined ? {} : { restartPolicy: o.restartPolicy }),
      }),
  ),
  recreate: verb(z.object({ component, image: z.string().optional() }), (o, { supervisor, view }) =>
    supervisor.recreate(o.component, view, o.image),
  ),
};

const ownerVerbs = (ownership: Ownership): Readonly<Record<string, Verb>> => ({
  ...ENGINE_VERBS,
  crash: verb(z.object({ component }), (o, { supervisor }) => supervisor.crash(o.component)),
  cut: verb(z.object({ component, peers: z.array(component).optional() }), (o, { supervisor }) =>
    supervisor.cut(o.component, o.peers ?? null),
  ),
  mend: verb(z.object({ component }), (o, { supervisor }) => supervisor.mend(o.component)),
  supports: verb(z.object({}), (_, { supervisor }) => supervisor.list("support")),
  "add-support": verb(nodeSpecSchema, (spec, { supervisor }) => supervisor.add({ ...spec, support: true })),
  "remove-support": verb(z.object({ component }), (o, { supervisor }) => supervisor.remove(o.component)),
  detach: verb(z.object({}), () => ownership.detach()),
  "tear-down": verb(z.object({}), async () => {
    await ownership.tearDown();
    return identify(process.pid);
  }),
});

/** `POST /<verb>` with a JSON body; `GET /events` and, for the owner, `GET /hold` stay open. */
export async function serve(
  supervisor: Supervisor,
  options: { readonly path: string; readonly ownership: Ownership | null },
): Promise<Server> {
  const { ownership } = options;
  const verbs = new Map(Object.entries(ownership === null ? ENGINE_VERBS : ownerVerbs(ownership)));
  const view: View = ownership === null ? "operator" : "owner";
  const server = createServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    if (request.method === "GET" && name === "events") return streamEvents(supervisor, response);
    if (request.method === "GET" && name.startsWith("all-events?since=") && ownership !== null)
      return streamEvents(supervisor, response, Number(name.split("=")[1]));
    if (request.method === "GET" && name === "hold" && ownership !== null) return holdOn(ownership, response);
    const closed = new AbortController();
    response.on("close", () => closed.abort(new EngineError("timeout", "the caller has gone")));
    void answer(verbs.get(name), request, response, { supervisor, view, signal: closed.signal });
  });
  // An event stream is silent for as long as nothing happens.
  server.requestTimeout = 0;
  await listenPrivately(server, options.path);
  return server;
}

async function answer(run: Verb | undefined, request: IncomingMessage, response: ServerResponse, call: Call) {
  try {
    if (run === undefined) throw new EngineError("not-supported", `no such call: ${request.url}`);
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw new EngineError("usage", "too long");
    const value = await run(JSON.parse((await text(request)) || "{}"), call);
    send(response, 200, { value: value ?? null });
  } catch (error) {
    const code =
      error instanceof HarnessError ? error.code : error instanceof z.ZodError ? "usage" : ("internal" as const);
    const message = error instanceof z.ZodError ? z.prettifyError(error) : errorText(error);
    send(response, 400, { error: { code, message } });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

/**
 * One JSON line per event; the first, empty line says that listening has begun. With `since` those of our own processes
 * too, beginning with what is still known from then on.
 */
function streamEvents(supervisor: Supervisor, response: ServerResponse, since?: number): void {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.write("\n");
  const write = (event: EngineEvent) => void response.write(`${JSON.stringify(event)}\n`);
  if (since !== undefined) for (const event of supervisor.recent(since)) write(event);
  const stop = supervisor.listen(write, { support: since !== undefined });
  response.on("close", stop);
}

function holdOn(ownership: Ownership, response: ServerResponse): void {
  const letGo = ownership.hold();
  response.on("close", letGo);
  response.writeHead(200, { "content-type": "text/plain" });
  response.write("\n");
}
