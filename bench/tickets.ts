import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { systemClock } from "../harness/base/clock.ts";
import { randomIds } from "../harness/base/ids.ts";
import { silentLog } from "../harness/base/log.ts";
import type { InstanceId } from "../harness/protocol.ts";
import { quantile } from "../harness/stats/quantile.ts";
import { openTickets, type Tickets } from "../tickets/index.ts";
import type { Measure } from "./measure.ts";

const WAKES = 300;
const CLAIMS = 1_000;
const PROCESSES = 8;
const deps = { clock: systemClock, ids: randomIds, log: silentLog };

/** Ticket written -> claimed by a waiting agent; claims per second of 8 processes beside raw better-sqlite3. */
export async function benchTickets(): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  try {
    const waits = await writtenToClaimed(join(folder, "wake.db"));
    const ours = await claimsPerSecond(join(folder, "claims.db"));
    const raw = await rawClaimsPerSecond(join(folder, "raw.db"));
    return [
      { name: "ticket written -> claimed, p50", value: quantile(waits, 0.5), unit: "ms" },
      { name: "ticket written -> claimed, p99", value: quantile(waits, 0.99), unit: "ms" },
      { name: `claims completed, ${PROCESSES} processes`, value: ours, unit: "1/s" },
      { name: `the same rows, raw better-sqlite3, ${PROCESSES} processes`, value: raw, unit: "1/s" },
      { name: "raw / ours", value: raw / ours, unit: "x" },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writtenToClaimed(path: string): Promise<readonly number[]> {
  await using tickets = await openTickets(path, deps);
  const agent = start("claimer.ts", path, JSON.stringify(["bench"]), "wait");
  const lines = createInterface({ input: agent.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  await lines.next();
  const waits: number[] = [];
  for (let n = 0; n < WAKES; n++) {
    await systemClock.sleep(10 + (n % 7));
    await write(tickets, "bench" as InstanceId, `i${n}`);
    const written = process.hrtime.bigint();
    const claimed = BigInt((await lines.next()).value as string);
    waits.push(Number(claimed - written) / 1e6);
  }
  await end(agent);
  return waits;
}

async function claimsPerSecond(path: string): Promise<number> {
  await using tickets = await openTickets(path, deps);
  const instances = Array.from({ length: CLAIMS }, (_, n) => `instance-${n}` as InstanceId);
  for (const instance of instances) await write(tickets, instance, "i");
  return await race("claimer.ts", path, JSON.stringify(instances), "until-empty");
}

async function rawClaimsPerSecond(path: string): Promise<number> {
  const db = new Sqlite(path);
  db.pragma("journal_mode = WAL");
  db.exec("CREATE TABLE queue (id INTEGER PRIMARY KEY, state TEXT NOT NULL, holder TEXT)");
  db.exec("CREATE INDEX ix ON queue (id) WHERE state = 'open'");
  const insert = db.prepare("INSERT INTO queue (state) VALUES ('open')");
  db.transaction(() => {
    for (let n = 0; n < CLAIMS; n++) insert.run();
  })();
  const rate = await race("raw-claimer.ts", path);
  db.close();
  return rate;
}

/** All processes are up before any begins. */
async function race(program: string, ...args: string[]): Promise<number> {
  const racers = Array.from({ length: PROCESSES }, () => start(program, ...args));
  await Promise.all(racers.map((racer) => once(racer.stdout as NodeJS.ReadableStream, "data")));
  const done = racers.map((racer) => once(racer, "exit"));
  const began = systemClock.monotonic();
  for (const racer of racers) racer.stdin?.write("go\n");
  await Promise.all(done);
  return CLAIMS / ((systemClock.monotonic() - began) / 1_000);
}

function start(program: string, ...args: string[]): ChildProcess {
  const path = join(import.meta.dirname, "programs", program);
  return spawn(process.execPath, [path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

async function write(tickets: Tickets, instance: InstanceId, invariant: string): Promise<void> {
  const what = { severity: "critical", message: "m", snapshot: null, component: null } as const;
  await tickets.reportViolation({ ...what, instance, invariant });
}
