import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { runWatchdog } from "../../harness/control/watchdog/run-watchdog.ts";
import { watchdogSettingsSchema } from "../../harness/control/watchdog/settings.ts";
import type { ProcessOwnerEngine } from "../../harness/engine/process/client.ts";
import { startSupervisor } from "../../harness/engine/process/start-supervisor.ts";
import { openProcessWatched } from "../../harness/engine/process/watched.ts";
import type { Component } from "../../harness/protocol.ts";
import { openTickets, type Tickets, type WatchdogKind } from "../../tickets/index.ts";
import { suiteNode } from "../support/suite-nodes.ts";

const deps = { clock: systemClock, ids: randomIds, log: silentLog, random: seededRandom(1), fetch };
const settings = watchdogSettingsSchema.parse({
  intervalMs: 200,
  backoffBaseMs: 300,
  backoffFactor: 1.2,
  backoffCapMs: 1_000,
  maxAttempts: 2,
  stableMs: 1_500,
});
const NO_POLICY = { name: "no", max: 0 } as const;
const TARGETS = ["ended", "frozen", "deaf", "lost", "halted", "hopeless"];

let folder: string;
let engine: ProcessOwnerEngine;
let tickets: Tickets;
let health: Server;
let well = true;
const stop = new AbortController();
let running: Promise<void> = Promise.resolve();
const signal = stop.signal;

const specOf = (component: string) => ({
  ...suiteNode(folder, component, component === "hopeless" ? "flaky" : "steady"),
  restartPolicy: NO_POLICY,
});

/** Each component is one case, so that all go on at once under one watchdog and one supervisor. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "watchdog-"));
  tickets = await openTickets(join(folder, "tickets.db"), deps);
  health = createServer((_request, response) => response.writeHead(well ? 200 : 503).end()).listen(0, "127.0.0.1");
  await once(health, "listening");
  const names = { instance: "aa11", project: "own", network: "own" };
  ({ engine } = await startSupervisor({ ...names, stateDir: folder, nodes: [] }, signal));
  for (const component of TARGETS) await engine.addSupport(specOf(component), signal);
  const url = `http://127.0.0.1:${(health.address() as AddressInfo).port}/health`;
  const watched = openProcessWatched({ engine, spec: specOf, healthUrls: { deaf: url } }, deps);
  running = runWatchdog(
    { deployment: "own", targets: TARGETS, engine: watched, tickets, settings, legacy: null },
    deps,
    signal,
  );
  for (const component of TARGETS) await until(component, "state");
}, 60_000);

afterAll(async () => {
  stop.abort(new Error("ended"));
  await running;
  await engine.tearDown();
  await tickets[Symbol.asyncDispose]();
  health.close();
  await rm(folder, { recursive: true, force: true });
});

const events = (component: string, ...kinds: WatchdogKind[]) => tickets.watchdog.events({ component, kinds });
const attempts = async (component: string) => (await events(component, "attempt")).map(({ reason }) => reason);
const until = (component: string, kind: WatchdogKind, text = /./) =>
  waitFor(async () => (await events(component, kind)).find(({ reason }) => text.test(reason)), {
    clock: systemClock,
    timeoutMs: 50_000,
    everyMs: 50,
    what: `${component}: ${kind} ${text}`,
  });
const statusOf = async (component: string) => (await engine.inspect(component as Component, signal)).status;

test.concurrent("a process of ours that dies is started again, and its count begins anew", async () => {
  await engine.crash("ended" as Component, signal);
  await until("ended", "stable");
  expect(await attempts("ended")).toEqual([expect.stringContaining("restart: ended by itself, exit code 137")]);
  expect(await statusOf("ended")).toBe("running");
});

test.concurrent("a frozen one is let run on", async () => {
  await engine.pause("frozen" as Component, signal);
  await until("frozen", "stable");
  expect(await attempts("frozen")).toEqual([expect.stringContaining("unpause")]);
});

test.concurrent("one that no longer says that it is well is restarted", async () => {
  await until("deaf", "state", /passes its health check/);
  well = false;
  await until("deaf", "attempt");
  well = true;
  await until("deaf", "stable");
  expect((await attempts("deaf"))[0]).toMatch(/restart: fails its health check: http:.* answers 503/);
});

test.concurrent("one that is gone is made anew", async () => {
  await engine.removeSupport("lost" as Component, signal);
  await until("lost", "stable");
  expect(await attempts("lost")).toEqual([expect.stringContaining("recreate: has no container")]);
  expect(await statusOf("lost")).toBe("running");
});

test.concurrent("what a person stopped stays down", async () => {
  await engine.stop("halted" as Component, {}, signal);
  await until("halted", "left-alone");
  await until("hopeless", "gave-up");
  expect(await statusOf("halted")).toBe("exited");
  expect(await attempts("halted")).toEqual([]);
});

test.concurrent("one that cannot be helped is given up with a ticket", async () => {
  await until("hopeless", "state", /^ticket \d+ tells people/);
  // Of the episode that it was given up in: on a busy machine it takes long to end, and may have counted as stable once.
  expect(await events("hopeless", "gave-up")).toMatchObject([{ attempt: 2 }]);
  expect(await tickets.list()).toMatchObject([{ component: "hopeless", manual: true, severity: "critical" }]);
});
