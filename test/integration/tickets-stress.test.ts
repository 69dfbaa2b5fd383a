import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { z } from "zod";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import type { InstanceId } from "../../harness/protocol.ts";
import { openTickets, watchTickets, type Tickets } from "../../tickets/index.ts";
import { STRESS } from "../support/stress.ts";
import { ticketFolder, violation } from "../support/ticket-folder.ts";

const AGENTS = 8;
const INSTANCES = 250;
const TICKETS_EACH = 4;
const LIMIT_MS = 100_000;
const program = new URL("../support/programs/stress-agent.ts", import.meta.url).pathname;
const deps = { clock: systemClock, ids: randomIds, log: silentLog };

interface Act {
  readonly batchKey: string;
  readonly attempt: number;
  readonly ticketId: number;
  /** What the file said at that moment, asked past the code under test. */
  readonly stale: boolean;
}

test(
  "8 agents on 1,000 tickets, killed and stopped at random: none lost, none completed twice, no act by a stale holder",
  { timeout: LIMIT_MS + 5_000 },
  async ({ signal }) => {
    const path = join(ticketFolder(), "tickets.db");
    await using tickets = await openTickets(path, { ...deps, ...STRESS });
    const instances = await fill(tickets);
    await using server = await actServer(path, tickets);
    const agents = new Agents([path, server.url, JSON.stringify(instances)]);
    try {
      const done = new AbortController();
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
      const trouble = agents.trouble(AbortSignal.any([limit, done.signal]));
      await allDiagnosed(tickets, path, limit);
      done.abort();
      await trouble;
    } finally {
      await agents.end();
    }

    const rows = await tickets.list({ limit: 10_000 });
    expect(rows).toHaveLength(INSTANCES * TICKETS_EACH);
    expect(rows.filter((t) => t.status !== "diagnosed" || t.ending !== "resolved")).toEqual([]);
    const completed = (await tickets.listSessions({ limit: 100_000 })).filter((s) => s.ending === "resolved");
    expect(completed).toHaveLength(INSTANCES);
    expect(new Set(completed.map((s) => s.batchKey)).size).toBe(INSTANCES);
    expect(server.acts.filter((act) => act.stale)).toEqual([]);
    expect(backwards(server.acts)).toEqual([]);
    expect(new Set(server.acts.map((act) => act.ticketId)).size).toBe(INSTANCES * TICKETS_EACH);
    // The trouble was real: agents died, and some woke up to find their claim gone.
    expect(agents.killed).toBeGreaterThan(3);
    expect(agents.stopped).toBeGreaterThan(3);
    expect(agents.lost + server.refused).toBeGreaterThan(0);
  },
);

async function fill(tickets: Tickets): Promise<readonly InstanceId[]> {
  const instances = Array.from({ length: INSTANCES }, (_, n) => `${n.toString(16).padStart(8, "0")}ffff` as InstanceId);
  for (const instance of instances)
    for (let n = 0; n < TICKETS_EACH; n++)
      await tickets.reportViolation(violation({ instance, invariant: `i${n}`, component: null }));
  return instances;
}

async function allDiagnosed(tickets: Tickets, path: string, signal: AbortSignal): Promise<void> {
  for await (const _ of watchTickets(path, { ...deps, signal })) {
    const open = [
      await tickets.list({ status: "open", limit: 1 }),
      await tickets.list({ status: "acknowledged", limit: 1 }),
    ];
    if (open.every((rows) => rows.length === 0)) return;
  }
  throw new Error("some tickets were never worked", { cause: signal.reason });
}

/** Acts of one incident never go back to an earlier attempt. */
function backwards(acts: readonly Act[]): readonly Act[] {
  const last = new Map<string, number>();
  return acts.filter(({ batchKey, attempt }) => {
    const before = last.get(batchKey) ?? 0;
    last.set(batchKey, Math.max(before, attempt));
    return attempt < before;
  });
}

/** Stands for what is acted on: it checks the holder itself, as the control server does. */
async function actServer(path: string, tickets: Tickets) {
  const acts: Act[] = [];
  const raw = new Sqlite(path, { readonly: true });
  const newest = raw.prepare<[string], number>("SELECT MAX(attempt) FROM tickets WHERE batch_key = ?").pluck();
  const result = { acts, refused: 0, url: "", [Symbol.asyncDispose]: async () => {} };
  const body = z.object({ batchKey: z.string(), holder: z.string(), attempt: z.number(), ticketId: z.number() });
  const server = createServer((request, response) => {
    const handle = async () => {
      const { ticketId, ...claim } = body.parse(await json(request));
      await tickets.assertHeld(claim);
      acts.push({ ...claim, ticketId, stale: (newest.get(claim.batchKey) ?? 0) > claim.attempt });
    };
    handle().then(
      () => response.writeHead(200).end(),
      () => {
        result.refused++;
        response.writeHead(409).end();
      },
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  result.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  result[Symbol.asyncDispose] = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
    raw.close();
  };
  return result;
}

/** Eight of them, always: who dies is replaced. */
class Agents {
  killed = 0;
  stopped = 0;
  lost = 0;
  readonly #args: readonly string[];
  readonly #living = new Set<ChildProcess>();

  constructor(args: readonly string[]) {
    this.#args = args;
    for (let n = 0; n < AGENTS; n++) this.#start();
  }

  /** Until aborted: kills one of them, or stops one for about the length of a lease, and again. */
  async trouble(signal: AbortSignal): Promise<void> {
    const random = seededRandom("tickets-stress");
    try {
      for (;;) {
        await systemClock.sleep(200 + random.int(300), signal);
        const victim = random.pick([...this.#living]);
        if (random.next() < 0.4) {
          victim.kill("SIGKILL");
          this.#living.delete(victim);
          this.killed++;
          this.#start();
        } else {
          victim.kill("SIGSTOP");
          this.stopped++;
          void systemClock.sleep(500 + random.int(1_500)).then(() => victim.kill("SIGCONT"));
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async end(): Promise<void> {
    const living = [...this.#living];
    const gone = living.map((agent) => once(agent, "exit"));
    for (const agent of living) agent.kill("SIGKILL");
    await Promise.all(gone);
  }

  #start(): void {
    const agent = spawn(process.execPath, [program, ...this.#args], { stdio: ["ignore", "pipe", "inherit"] });
    agent.stdout.on("data", (text: Buffer) => (this.lost += text.toString().split("lost").length - 1));
    this.#living.add(agent);
  }
}
