import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { openTickets, watchTickets } from "../../tickets/index.ts";
import { claim, LEASE_MS, newTickets, violation } from "../support/ticket-folder.ts";

const deps = { clock: systemClock, ids: randomIds, log: silentLog };

/** A reader that waits; `next` is what woke it. */
async function reader(path: string, signal: AbortSignal) {
  const events = watchTickets(path, { ...deps, signal });
  expect((await events.next()).value).toBe("start");
  return { next: async () => (await events.next()).value };
}

test("a new ticket wakes a reader, by event and not by poll", async ({ signal }) => {
  const { path, tickets } = await newTickets();
  const waiting = await reader(path, signal);
  const woken = waiting.next();
  await tickets.reportViolation(violation());
  expect(await woken).toBe("change");
});

test("a writer that knows nothing of us wakes it too", async ({ signal }) => {
  const { path } = await newTickets();
  const waiting = await reader(path, signal);
  const woken = waiting.next();
  const raw = new Sqlite(path);
  raw
    .prepare(
      "INSERT INTO tickets (violation_key, invariant_name, first_seen_at, last_seen_at, message) VALUES (?, ?, ?, ?, ?)",
    )
    .run("k", "k", "2026-01-01T00:00:00", "2026-01-01T00:00:00", "down");
  expect(await woken).toBe("change");
  raw.close();
});

test("renewals, heartbeats and log entries wake nobody: the next event is the hold after them", async ({ signal }) => {
  const { path, tickets } = await newTickets();
  const { ticket } = await tickets.reportViolation(violation());
  const incident = await claim(tickets);
  const sessionId = await tickets.startSession(incident, { operator: "o", scripted: true, model: null });
  await using second = await openTickets(path, deps);
  const waiting = await reader(path, signal);
  let wakes = 0;
  const until = (async () => {
    do {
      expect(await waiting.next()).toBe("change");
      wakes++;
    } while (!(await second.get(ticket.id)).held);
  })();
  const at = systemClock.now();
  for (let n = 0; n < 5; n++) {
    await tickets.renew(incident, LEASE_MS);
    await tickets.log(sessionId, { type: "reasoning", summary: "s", startedAt: at, endedAt: at });
    // Lets the file's own events arrive and be looked at before the next write.
    await systemClock.sleep(20);
  }
  await tickets.hold(ticket.id);
  await until;
  expect(wakes).toBe(1);
});

test("ends when its signal aborts, also while it waits", async () => {
  const { path } = await newTickets();
  const stop = new AbortController();
  const waiting = await reader(path, stop.signal);
  const last = waiting.next();
  stop.abort();
  expect(await last).toBeUndefined();
});
