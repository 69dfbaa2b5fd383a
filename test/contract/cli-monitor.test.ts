import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo } from "node:net";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { type CliIo } from "../../harness/cli/io.ts";
import { monitorCommand } from "../../harness/cli/monitor.ts";
import { openTickets } from "../../tickets/index.ts";
import { recording } from "../support/recorded-server.ts";

const deps = {
  clock: systemClock,
  random: seededRandom(1),
  ids: randomIds,
  log: silentLog,
  fetch: globalThis.fetch,
};

let folder: string;
let out: string;
let exitCode: number;
let stop: AbortController;
let members: PdMember[];

/** A recorded healthy member that can be ended and started again on its port. */
class PdMember {
  readonly #paths;
  #server: Server | null = null;
  port = 0;

  constructor(name: string) {
    this.#paths = recording("healthy").answers[name] ?? {};
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const { status = 404, body = "" } = this.#paths[request.url ?? ""] ?? {};
      response.writeHead(status).end(body);
    });
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async end(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === null ? resolve() : server.close(() => resolve())));
  }
}

const io = (): CliIo => ({
  deps,
  env: { HOME: folder },
  cwd: folder,
  signal: stop.signal,
  stdinIsTty: false,
  stdoutIsTty: false,
  out: (text) => void (out += text),
  err: () => {},
  ask: () => Promise.resolve(null),
  setExitCode: (code) => void (exitCode = code),
});
const monitor = (...args: string[]) => monitorCommand(io()).parseAsync(["run", ...args], { from: "user" });
const urls = () => members.map(({ port }) => `http://127.0.0.1:${port}`).join(",");

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "monitor-"));
  [out, exitCode, stop] = ["", 0, new AbortController()];
  members = ["pd0", "pd1", "pd2"].map((name) => new PdMember(name));
  for (const member of members) await member.start();
});
afterEach(async () => {
  stop.abort();
  for (const member of members) await member.end();
  await rm(folder, { recursive: true, force: true });
});

test("--once says what holds and what does not, by exit code too, and makes no ticket file", async () => {
  await monitor("--pd", urls(), "--once");
  expect(out).toMatch(/^held +pd_leader$/m);
  expect(out).toMatch(/^held +pd_quorum$/m);
  // Two regions of the recording are still short of replicas, which is no news to a monitor that has just started.
  expect(out).toMatch(/^violated +region_health +regions: 2 miss a replica$/m);
  expect(exitCode).toBe(1);
  out = "";
  await monitor("--pd", urls(), "--once", "--json");
  const { instance, judgements } = JSON.parse(out) as { instance: string; judgements: { invariant: string }[] };
  expect(instance).toMatch(/^[0-9a-f]{8}$/);
  expect(judgements.map(({ invariant }) => invariant)).toContain("pd_leader");
});

test("a member that dies has a ticket, and none any more once it is back", async () => {
  const db = path.join(folder, "tickets.db");
  const running = monitor("--pd", urls(), "--db", db, "--interval", "200", "--json");
  const events = () => out.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as { type: string }]));
  const until = (type: string) =>
    waitFor(() => events().find((event) => event.type === type), {
      clock: systemClock,
      timeoutMs: 20_000,
      everyMs: 50,
      what: type,
    });
  await using tickets = await openTickets(db, deps);
  await waitFor(async () => (await tickets.monitors()).length === 1, {
    clock: systemClock,
    timeoutMs: 10_000,
    everyMs: 50,
    what: "the monitor's heartbeat",
  });
  const [, pd1] = members;
  await pd1?.end();
  await until("ticket");
  const [ticket] = await tickets.list();
  // Mapped ports: nobody could tell which member it is, so its address names it.
  expect(ticket).toMatchObject({ invariant: "pd_member_up", status: "open", severity: "critical" });
  expect(ticket?.message).toBe(`127.0.0.1:${pd1?.port} does not answer`);
  await pd1?.start();
  await until("ticket-resolved");
  expect(await tickets.get(ticket?.id ?? 0)).toMatchObject({ status: "resolved" });
  stop.abort();
  await running;
  expect(await tickets.monitors()).toEqual([]);
});

test.each([
  [["--interval", "5"], /milliseconds/],
  [["--pd", "http://[", "--once"], /e\.g\./],
  [["--prometheus", "http://x:1"], /--prometheus goes with/],
  [["--once"], /nothing to watch.*lab subject up tikv/s],
])("%j is refused with what to do", async (args, message) => {
  const command = monitorCommand(io());
  for (const one of [command, ...command.commands]) one.exitOverride().configureOutput({ writeErr: () => {} });
  await expect(command.parseAsync(["run", ...args], { from: "user" })).rejects.toThrow(message);
});
