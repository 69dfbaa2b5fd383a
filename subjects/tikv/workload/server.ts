import { createHash, timingSafeEqual } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import type { Clock } from "../../../harness/base/clock.ts";
import type { ClientWindow } from "../../../harness/protocol.ts";
import type { HistoryLog } from "./history-log.ts";

/** What the program can be asked for; `main.ts` wires it to the generator. */
export interface WorkloadService {
  readonly run: string;
  readonly clock: Clock;
  readonly history: HistoryLog;
  metrics(): string;
  window(windowMs: number): ClientWindow;
  stop(): Promise<void>;
  /** null = not every key could be read in time. */
  readBack(timeoutMs: number): Promise<ReadonlyMap<string, string> | null>;
  /** False = not every key could be deleted in time. */
  cleanUp(timeoutMs: number): Promise<boolean>;
}

const positive = z.coerce.number().int().positive();
const DEFAULT_TIMEOUT_MS = 30_000;

/** What anybody in the clients' network may ask. */
const OPEN = ["/ready", "/metrics"];

/**
 * The HTTP side, as README.md lists it. Wrong parameters are answered 400 with the reason. Whoever sits in the clients'
 * network reaches it too: without the token they neither read what the clients saw nor stop them.
 */
export function workloadServer(service: WorkloadService, token?: string): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    const given = c.req.header("authorization") ?? "";
    if (token === undefined || OPEN.includes(c.req.path) || same(given, `Bearer ${token}`)) return await next();
    return c.notFound();
  });
  app.get("/ready", (c) => c.text("ok\n"));
  app.get("/time", (c) => {
    const { clock, run } = service;
    return c.json({ run, monotonicMs: clock.monotonic(), wallMs: clock.now() });
  });
  app.get("/metrics", (c) =>
    c.text(service.metrics(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
  app.get("/window", (c) => c.json(service.window(positive.parse(c.req.query("ms")))));
  app.get("/history", (c) => {
    const offset = z.coerce
      .number()
      .int()
      .nonnegative()
      .parse(c.req.query("offset") ?? 0);
    const lines = ReadableStream.from(historyLines(service.history, offset));
    return new Response(lines, { headers: { "content-type": "application/x-ndjson", "x-run": service.run } });
  });
  app.post("/stop", async (c) => {
    await service.stop();
    return c.json({ operations: service.history.count });
  });
  app.post("/readback", async (c) => {
    const values = await service.readBack(timeoutOf(c.req.query("timeout_ms")));
    return c.json({ complete: values !== null, values: Object.fromEntries(values ?? []) });
  });
  app.post("/cleanup", async (c) => c.json({ complete: await service.cleanUp(timeoutOf(c.req.query("timeout_ms"))) }));
  app.onError((error, c) =>
    error instanceof z.ZodError ? c.text(`${z.prettifyError(error)}\n`, 400) : c.text(`${error.message}\n`, 500),
  );
  return app;
}

async function* historyLines(history: HistoryLog, offset: number): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  // The answer's head is sent with its first bytes: say at once that we are listening.
  yield encoder.encode("\n");
  for await (const batch of history.read(offset))
    yield encoder.encode(batch.map((entry) => JSON.stringify(entry)).join("\n") + "\n");
  yield encoder.encode(`${JSON.stringify({ end: history.count })}\n`);
}

function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function timeoutOf(text: string | undefined): number {
  return positive.parse(text ?? DEFAULT_TIMEOUT_MS);
}
