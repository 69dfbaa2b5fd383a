import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { openTickets } from "../../tickets/index.ts";
import { pythonFile, pythonInsert } from "../support/python-lab.ts";
import { shiftedClock } from "../support/shifted-clock.ts";
import { CLUSTER, claim, LEASE_MS, newTickets, ticketFolder, violation, workOn } from "../support/ticket-folder.ts";

const deps = { clock: systemClock, ids: randomIds, log: silentLog };

describe("a new file", () => {
  test("its folder is made 0700, it is 0600, as are the files beside it", async () => {
    const path = join(ticketFolder(), "deep", "er", "tickets.db");
    await using tickets = await openTickets(path, deps);
    await tickets.reportViolation(violation());
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(dirname(path)))
      expect([file, statSync(join(dirname(path), file)).mode & 0o777]).toEqual([file, 0o600]);
  });
});

describe("bad days", () => {
  test("locked: waits for the writer without standing still, then says so; nothing was changed", async () => {
    const { path } = await newTickets();
    await using tickets = await openTickets(path, { ...deps, lockTimeoutMs: 150 });
    using other = disposable(new Sqlite(path));
    other.db.exec("BEGIN EXCLUSIVE");
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const refused = tickets.reportViolation(violation());
    await expect(refused).rejects.toMatchObject({ code: "tickets-locked" });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
    other.db.exec("ROLLBACK");
    expect(await tickets.list()).toEqual([]);
    expect((await tickets.reportViolation(violation())).action).toBe("opened");
  });

  test.skipIf(!canMount())("full: says so, has kept all it acknowledged, and goes on when there is room", async () => {
    const folder = ticketFolder();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=600k", "none", folder]);
    onTestFinished(() => void execFileSync("umount", ["-l", folder]));
    await using tickets = await openTickets(join(folder, "tickets.db"), deps);
    await tickets.reportViolation(violation());
    const sessionId = await tickets.startSession(await claim(tickets), { operator: "o", scripted: true, model: null });
    const at = deps.clock.now();
    const entry = { type: "reasoning" as const, summary: "x".repeat(30_000), startedAt: at, endedAt: at };
    let acknowledged = 0;
    const fill = async () => {
      for (; acknowledged < 1_000; acknowledged++) await tickets.log(sessionId, entry);
    };
    await expect(fill()).rejects.toMatchObject({ code: "tickets-full" });
    expect(await tickets.logEntries(sessionId)).toHaveLength(acknowledged);
    execFileSync("mount", ["-o", "remount,size=8m", folder]);
    await tickets.log(sessionId, entry);
    expect(await tickets.logEntries(sessionId)).toHaveLength(acknowledged + 1);
  });

  test("damaged: set aside with all its bytes, never overwritten; the next start has a new file", async () => {
    const { path, tickets } = await newTickets();
    for (let n = 0; n < 50; n++) await tickets.reportViolation(violation({ invariant: `i${n}` }));
    await tickets[Symbol.asyncDispose]();
    const bytes = readFileSync(path);
    bytes.fill(0x5a, 4096, 20_000);
    writeFileSync(path, bytes);
    const refused = openTickets(path, deps);
    await expect(refused).rejects.toMatchObject({ code: "tickets-corrupt" });
    const aside = readdirSync(dirname(path)).find((name) => name.includes(".damaged-") && !/-(wal|shm)$/.test(name));
    expect(readFileSync(join(dirname(path), aside ?? "")).equals(bytes)).toBe(true);
    await using fresh = await openTickets(path, deps);
    expect(await fresh.list()).toEqual([]);
  });

  test("not SQLite at all: a tickets.db is set aside, any other file is left where it is", async () => {
    const folder = ticketFolder();
    const letter = join(folder, "letter.txt");
    writeFileSync(letter, "Dear Sir,\n".repeat(200));
    await expect(openTickets(letter, deps)).rejects.toMatchObject({ code: "tickets-corrupt" });
    expect(readFileSync(letter, "utf8")).toContain("Dear Sir");
    const db = join(folder, "tickets.db");
    writeFileSync(db, "Dear Sir,\n".repeat(200));
    await expect(openTickets(db, deps)).rejects.toThrow(/set aside as/);
  });

  test("from a newer version: refused and untouched", async () => {
    const { path, tickets } = await newTickets();
    await tickets[Symbol.asyncDispose]();
    using newer = disposable(new Sqlite(path));
    newer.db.exec("UPDATE ticket_file SET version = 99");
    await expect(openTickets(path, deps)).rejects.toMatchObject({ code: "tickets-newer" });
    expect(newer.db.prepare("SELECT version FROM ticket_file").pluck().get()).toBe(99);
  });

  test("from an older version: brought up to date, nothing of it is lost", async () => {
    const { path, tickets } = await newTickets();
    await tickets.reportViolation(violation());
    const sessionId = await workOn(tickets, await claim(tickets), "resolved");
    await tickets[Symbol.asyncDispose]();
    using older = disposable(new Sqlite(path));
    older.db.exec("ALTER TABLE agent_sessions DROP COLUMN details; UPDATE ticket_file SET version = 1");
    await using again = await openTickets(path, deps);
    expect(await again.list()).toMatchObject([{ id: 1, status: "diagnosed" }]);
    expect(await again.session(sessionId)).toMatchObject({ ending: "resolved", details: {} });
  });

  test.skipIf(process.getuid?.() !== 0)("read-only, or in a folder of root: one clear sentence", async () => {
    const { path, tickets } = await newTickets();
    await tickets[Symbol.asyncDispose]();
    chmodSync(path, 0o444);
    chmodSync(dirname(path), 0o755);
    expect(await openAsNobody(path)).toMatch(/^tickets-readonly .*check its owner and mode/);
    const foreign = join(dirname(path), "of-root");
    mkdirSync(foreign, { mode: 0o700 });
    expect(await openAsNobody(join(foreign, "tickets.db"))).toMatch(/^tickets-readonly /);
  });
});

describe("a file of the Python lab that nobody writes any more", () => {
  test("is copied beside itself, keeps its rows and its form of time; duplicates are marked, not deleted", async () => {
    const path = pythonFile(ticketFolder());
    await using tickets = await openTickets(path, { ...deps, clock: shiftedClock(2 * 60_000) });
    expect(readdirSync(dirname(path)).some((name) => name.includes("before-agent-lab"))).toBe(true);
    expect((await tickets.list()).map((t) => [t.id, t.status, t.severity])).toEqual([
      [4, "acknowledged", "warning"],
      [3, "resolved", "warning"],
      [2, "open", "critical"],
      [1, "open", "critical"],
    ]);
    await tickets.reportViolation(violation());
    using raw = disposable(new Sqlite(path));
    const rows = raw.db.prepare("SELECT first_seen_at, duplicate_of FROM tickets ORDER BY id").all();
    expect(rows).toHaveLength(5);
    expect(rows[1]).toMatchObject({ duplicate_of: 1 });
    expect(rows[4]).toMatchObject({ first_seen_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}$/) });
  });

  test("its rows are claimed where the agent says whose they are; a foreign acknowledged one only after reopen", async () => {
    const path = pythonFile(ticketFolder());
    await using tickets = await openTickets(path, { ...deps, clock: shiftedClock(2 * 60_000) });
    const asked = { instances: [CLUSTER], holder: "a", leaseMs: LEASE_MS };
    expect(await tickets.claimNext(asked)).toBeNull();
    const first = await tickets.claimNext({ ...asked, unscopedAs: CLUSTER });
    expect(first?.tickets.map((t) => t.id)).toEqual([1]);
    await workOn(tickets, first as NonNullable<typeof first>, "escalated");
    expect(await tickets.claimNext({ ...asked, unscopedAs: CLUSTER })).toBeNull();
    expect(await tickets.resolveVerified(4)).toBe("foreign");
    await tickets.reopen(4);
    expect((await tickets.claimNext({ ...asked, unscopedAs: CLUSTER }))?.tickets.map((t) => t.id)).toEqual([4]);
  });

  test("a row that it writes into a file of ours is read, shown and claimed", async () => {
    const { path, tickets } = await newTickets();
    using raw = disposable(new Sqlite(path));
    pythonInsert(raw.db, "store_up:tikv2", "2026-01-01T01:00:00.000001");
    expect(await tickets.list()).toMatchObject([{ invariant: "store_up", component: "tikv2", instance: null }]);
    const claimed = await tickets.claimNext({
      instances: [CLUSTER],
      holder: "a",
      leaseMs: LEASE_MS,
      unscopedAs: CLUSTER,
    });
    expect(claimed).toMatchObject({ instance: CLUSTER, tickets: [{ message: "down" }] });
  });

  test("what we write reads as theirs: only their words in status, JSON and times that they parse", async () => {
    const { path, tickets } = await newTickets();
    await tickets.reportViolation(violation());
    await workOn(tickets, await claim(tickets), "no-fault");
    using raw = disposable(new Sqlite(path));
    const ticket = raw.db.prepare("SELECT * FROM tickets").get() as Record<string, string>;
    expect(["open", "acknowledged", "diagnosed", "resolved"]).toContain(ticket["status"]);
    expect(JSON.parse(ticket["metric_snapshot"] ?? "")).toEqual({ answers: false });
    for (const column of ["first_seen_at", "last_seen_at", "created_at", "updated_at"])
      expect(ticket[column]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(raw.db.prepare("SELECT status FROM agent_sessions").pluck().get()).toBe("resolved");
  });
});

/** A disk that is full takes a small one of our own, which takes root and a kernel that lets us mount. */
function canMount(): boolean {
  const script = "mount -t tmpfs none /mnt && umount /mnt";
  return process.getuid?.() === 0 && spawnSync("unshare", ["-m", "sh", "-c", script]).status === 0;
}

function disposable(db: Sqlite.Database): Disposable & { readonly db: Sqlite.Database } {
  return { db, [Symbol.dispose]: () => void db.close() };
}

/** @returns `code message` of what a user without rights gets. */
async function openAsNobody(path: string): Promise<string> {
  const program = new URL("../support/programs/open-tickets.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, path], { stdio: ["ignore", "pipe", "inherit"] });
  const [text] = await Promise.all([child.stdout.toArray(), once(child, "exit")]);
  return Buffer.concat(text as Buffer[]).toString();
}
