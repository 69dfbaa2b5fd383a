import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { openTickets } from "../../tickets/index.ts";
import { lab } from "../support/cli.ts";
import { pythonFile, pythonInsert } from "../support/python-lab.ts";
import { shiftedClock } from "../support/shifted-clock.ts";
import { claim, CLUSTER, LEASE_MS, NO_USAGE, ticketFolder, violation } from "../support/ticket-folder.ts";

const MINUTE = 60_000;
const now = { clock: systemClock, ids: randomIds, log: silentLog };
const later = { ...now, clock: shiftedClock(MINUTE + 5_000) };

function raw(path: string): Sqlite.Database {
  const db = new Sqlite(path);
  onTestFinished(() => void db.close());
  return db;
}

const copies = (path: string) => readdirSync(dirname(path)).filter((name) => name.includes("before-agent-lab"));
const tables = (path: string): unknown =>
  raw(path).prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").pluck().all();

describe("a live file of the Python lab", () => {
  test("is refused while its monitor writes, and untouched; a minute after its end it is copied and opened", async () => {
    const path = pythonFile(ticketFolder());
    const program = new URL("../support/programs/python-monitor.ts", import.meta.url).pathname;
    const monitor = spawn(process.execPath, [program, path], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void monitor.kill("SIGKILL"));
    await once(monitor.stdout, "data");
    const before = tables(path);
    const refused = openTickets(path, now);
    await expect(refused).rejects.toMatchObject({ code: "tickets-foreign" });
    await expect(refused).rejects.toThrow(/another program wrote to it \d+ s ago/);
    expect([copies(path), tables(path)]).toEqual([[], before]);
    const listed = await lab(["ticket", "list", "--db", path]);
    expect([listed.code, listed.err]).toEqual([7, expect.stringContaining("end it and wait a minute")]);

    monitor.kill("SIGTERM");
    await once(monitor, "close");
    await expect(openTickets(path, now)).rejects.toMatchObject({ code: "tickets-foreign" });
    await using tickets = await openTickets(path, later);
    expect(copies(path)).toHaveLength(1);
    expect(await tickets.list()).toHaveLength(4);
  });

  test("is refused for what a writer left beside it, and for its times in either reading", async () => {
    const path = pythonFile(ticketFolder());
    raw(path).exec("UPDATE tickets SET created_at = '2026-01-01 00:00:00'");
    raw(path).exec("DROP TRIGGER tickets_touch; UPDATE tickets SET updated_at = '2026-01-01 00:00:00'");
    const local = (at: number): string => {
      const d = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
      return d.toISOString().replace("Z", "000");
    };
    for (const time of [
      local(systemClock.now()),
      new Date(systemClock.now()).toISOString().slice(0, 19).replace("T", " "),
    ]) {
      raw(path).prepare("UPDATE tickets SET last_seen_at = ? WHERE id = 1").run(time);
      await expect(openTickets(path, now)).rejects.toThrow(/a row of/);
    }
    raw(path).exec("UPDATE tickets SET last_seen_at = '2026-01-01T00:00:00' WHERE id = 1");
    writeFileSync(`${path}-journal`, "x");
    await expect(openTickets(path, now)).rejects.toThrow(/-journal was written/);
    // SQLite has thrown it away by now: it was none.
    await using tickets = await openTickets(path, now);
    expect(await tickets.list()).toHaveLength(4);
  });

  test("with every oddity is taken as it is: nothing is lost, nothing renamed, nothing claimed that may be somebody's", async () => {
    const path = pythonFile(ticketFolder());
    const theirs = raw(path);
    pythonInsert(theirs, "region_health", "2026-01-01T07:00:00.5", "info");
    pythonInsert(theirs, "slow:7", "2026-01-01 08:00:00");
    theirs.exec(`
      UPDATE tickets SET held = 1, batch_key = 'b-1', metric_snapshot = '{"up": NaN}', variant_model = 'm',
        variant_tools_config = '{"a":1}', subject_context = 'a note' WHERE id = 5;
      UPDATE tickets SET status = 'diagnosed', diagnosis = 'ESCALATED: nothing helped' WHERE id = 6;
      INSERT INTO agent_sessions (session_id, ticket_id, started_at) VALUES ('20260101-0a0b0c0d', 4, '2026-01-01T04:01:00');
      INSERT INTO agent_log_entries (session_id, entry_type, content, tool_name, tool_params, timestamp)
        VALUES ('20260101-0a0b0c0d', 'tool_call', 'ls', 'shell', 'not json', '2026-01-01T04:02:00');`);
    // Their own trigger notes the second in which the duplicate was marked.
    theirs.exec("DROP TRIGGER tickets_touch");
    const before = theirs.prepare("SELECT * FROM tickets ORDER BY id").all() as Record<string, unknown>[];
    await using tickets = await openTickets(path, later);

    expect(theirs.prepare("SELECT * FROM tickets ORDER BY id").all()).toMatchObject(before);
    const [copy = ""] = copies(path);
    expect(
      raw(join(dirname(path), copy))
        .prepare("SELECT * FROM tickets ORDER BY id")
        .all(),
    ).toEqual(before);
    const index = "SELECT sql FROM sqlite_schema WHERE name = 'idx_tickets_open_violation'";
    expect(theirs.prepare(index).pluck().get()).not.toContain("UNIQUE");
    const rows = theirs.prepare("SELECT id, duplicate_of FROM tickets WHERE duplicate_of IS NOT NULL").all();
    expect(rows).toEqual([{ id: 2, duplicate_of: 1 }]);
    expect(
      (await tickets.list()).map(({ id, status, severity, held, component }) => [
        id,
        status,
        severity,
        held,
        component,
      ]),
    ).toEqual([
      [6, "diagnosed", "warning", false, "7"],
      [5, "open", "warning", true, null],
      [4, "acknowledged", "warning", false, "tikv3"],
      [3, "resolved", "warning", false, null],
      [2, "open", "critical", false, "tikv1"],
      [1, "open", "critical", false, "tikv1"],
    ]);
    expect(await tickets.get(6)).toMatchObject({ diagnosis: "ESCALATED: nothing helped" });
    expect(await tickets.get(5)).toMatchObject({ batchKey: "b-1", context: "a note", snapshot: '{"up": NaN}' });
    expect(await tickets.session("20260101-0a0b0c0d")).toMatchObject({
      status: "running",
      ending: null,
      operator: null,
    });
    expect(await tickets.logEntries("20260101-0a0b0c0d")).toMatchObject([{ tool: "shell", params: "not json" }]);

    // One is a duplicate, one is held, one acknowledged by somebody, one with people, one over: a single one is free.
    const asked = { instances: [CLUSTER], holder: "a", leaseMs: LEASE_MS, unscopedAs: CLUSTER };
    const first = await tickets.claimNext(asked);
    expect(first?.tickets.map(({ id }) => id)).toEqual([1]);
    await tickets.release(first!, { sessionId: null, reason: "enough" });
    await tickets.resolve(1);
    expect(await tickets.claimNext(asked)).toBeNull();
    expect((await tickets.reopen(4)).status).toBe("open");
    expect((await tickets.claimNext(asked))?.tickets.map(({ id }) => id)).toEqual([4]);
    // Our rows have its form of time, and its words.
    await tickets.reportViolation(violation({ invariant: "ours" }));
    const ours = theirs.prepare("SELECT first_seen_at, status FROM tickets WHERE invariant_name = 'ours'").get();
    expect(ours).toMatchObject({ first_seen_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}$/) });
  });
});

test("one row with values that nobody expects takes no other out of reach, and people can end it", async () => {
  const path = pythonFile(ticketFolder());
  const theirs = raw(path);
  for (const key of ["word", "time", "count", "bytes", "batch", "held"])
    pythonInsert(theirs, `${key}:1`, "2026-01-01T07:00:00");
  theirs.exec(`
    UPDATE tickets SET status = 'closed' WHERE invariant_name = 'word';
    UPDATE tickets SET first_seen_at = x'ff', last_seen_at = 'soon' WHERE invariant_name = 'time';
    UPDATE tickets SET occurrence_count = 'many' WHERE invariant_name = 'count';
    UPDATE tickets SET message = x'fffe64', diagnosis = x'64' WHERE invariant_name = 'bytes';
    UPDATE tickets SET batch_key = '' WHERE invariant_name IN ('batch', 'count');
    UPDATE tickets SET held = 'true' WHERE invariant_name = 'held';
    UPDATE tickets SET updated_at = '2026-01-01 00:00:00', created_at = '2026-01-01 00:00:00';
    INSERT INTO agent_sessions (session_id, ticket_id, status, started_at) VALUES ('s', 1, 'over', 'then');
    INSERT INTO agent_log_entries (session_id, entry_type, content, exit_code, timestamp)
      VALUES ('s', 'thought', x'64', 'zero', 'then');`);
  await using tickets = await openTickets(path, later);
  const by = new Map((await tickets.list()).map((ticket) => [ticket.invariant, ticket]));
  expect(by.get("word")).toMatchObject({ status: "acknowledged" });
  expect(by.get("bytes")).toMatchObject({ message: "\ufffd\ufffdd", diagnosis: "d" });
  expect(by.get("held")).toMatchObject({ held: true });
  expect(await tickets.listSessions()).toMatchObject([{ status: "failed" }]);
  expect(await tickets.logEntries("s")).toMatchObject([{ type: "reasoning", summary: "d", exitCode: null }]);
  const claimed: string[] = [];
  for (;;) {
    const incident = await tickets.claimNext({ instances: [CLUSTER], holder: "a", leaseMs: 1, unscopedAs: CLUSTER });
    if (incident === null) break;
    claimed.push(...incident.tickets.map(({ invariant }) => invariant));
    for (const { id } of incident.tickets) await tickets.resolve(id);
  }
  expect(claimed.toSorted()).toEqual(["batch", "bytes", "count", "store_up", "time"]);
  const word = by.get("word")?.id ?? 0;
  expect(await tickets.reopen(word)).toMatchObject({ status: "open" });
  theirs.exec("UPDATE tickets SET status = 'closed' WHERE invariant_name = 'word'");
  expect(await tickets.resolve(word)).toMatchObject({ status: "resolved" });
});

describe("a file of ours into which somebody else writes", () => {
  const at = "2026-01-01T01:00:00";

  test.each([
    ["a ticket", (db: Sqlite.Database) => pythonInsert(db, "store_up:tikv2", at)],
    ["a status", (db: Sqlite.Database) => void db.exec("UPDATE tickets SET status = 'resolved' WHERE id = 1")],
    [
      "a session",
      (db: Sqlite.Database) =>
        void db.exec(
          "INSERT INTO agent_sessions (session_id, ticket_id, started_at) VALUES ('s', 1, '2026-01-01T00:00:00')",
        ),
    ],
  ])(
    "%s: nothing new is begun for a minute, what has begun goes on, and the next command says why",
    async (_, write) => {
      const path = join(ticketFolder(), "tickets.db");
      await using tickets = await openTickets(path, now);
      await tickets.reportViolation(violation());
      const incident = await claim(tickets);
      const sessionId = await tickets.startSession(incident, { operator: "o", scripted: true, model: null });
      write(raw(path));

      const foreign = { code: "tickets-foreign" };
      await expect(tickets.reportViolation(violation({ invariant: "other" }))).rejects.toMatchObject(foreign);
      await expect(tickets.create({ ...violation(), invariant: "hand", manual: true })).rejects.toMatchObject(foreign);
      await expect(openTickets(path, now)).rejects.toMatchObject(foreign);
      const entry = {
        type: "reasoning",
        summary: "on",
        startedAt: systemClock.now(),
        endedAt: systemClock.now(),
      } as const;
      expect(await tickets.log(sessionId, entry)).toBeGreaterThan(0);
      await tickets
        .complete(incident, { sessionId, ending: "failed", reason: "r", diagnosis: null, usage: NO_USAGE })
        .catch(
          // Where the row itself was taken away the lease is lost, which is an end as well.
          (error: unknown) => expect(error).toMatchObject({ code: "lease-lost" }),
        );
      await using again = await openTickets(path, later);
      await again.reportViolation(violation({ invariant: "other" }));
      expect(await again.list({ status: "open" })).not.toEqual([]);
    },
  );

  test("our own writers, in several processes or interrupted, are never taken for it", async () => {
    const path = join(ticketFolder(), "tickets.db");
    await using one = await openTickets(path, now);
    await using two = await openTickets(path, now);
    await Promise.all(
      [one, two].flatMap((t, n) => [0, 1, 2].map((k) => t.reportViolation(violation({ invariant: `i${n}${k}` })))),
    );
    // A transaction that fails leaves no mark.
    await expect(one.get(99)).rejects.toMatchObject({ code: "not-found" });
    await expect(one.resolve(99)).rejects.toMatchObject({ code: "not-found" });
    await claim(two);
    expect(raw(path).prepare("SELECT writing, foreign_ms FROM ticket_file").get()).toEqual({
      writing: 0,
      foreign_ms: null,
    });
  });
});
