import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog, type Log } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { keepRegistered, ownAssertions, type RegistrationOptions } from "../../harness/control/registration.ts";
import { openTickets } from "../../tickets/index.ts";
import { DEPLOYMENT as CONTROLLED, startControl } from "../support/control-server.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { DEPLOYMENT, panelBench } from "../support/panel-bench.ts";
import { ScriptedControl } from "../support/scripted-control.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { CLUSTER, ticketFolder, violation } from "../support/ticket-folder.ts";

const random = seededRandom(1);
const who = { agentId: "compose-agent", deploymentHash: DEPLOYMENT, part: "compose-agent" } as const;

const options = (changes: Partial<RegistrationOptions>): RegistrationOptions => ({
  ...who,
  url: "http://nowhere",
  version: "1.2.3",
  composeAgent: true,
  controlPlane: "compose_agent",
  features: () => ["restart"],
  status: () => Promise.resolve({ doing: "waits" }),
  assertions: { current: () => Promise.resolve("an-assertion"), forget: () => {} },
  ...changes,
});

/** What was said, in order. */
function listening(): { readonly log: Log; readonly events: string[] } {
  const events: string[] = [];
  const note = (event: string) => void events.push(event);
  return { events, log: { ...silentLog, info: note, warn: note, error: note } };
}

test("registers, beats, and registers again at a panel that was started anew", async () => {
  await using first = await panelBench(new ScriptedControl());
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const answer = await globalThis.fetch(input, init);
    asked.push(`${new URL(String(input)).pathname.split("/").at(-1)} ${answer.status}`);
    return answer;
  };
  const life = new AbortController();
  const { log, events } = listening();
  const clocks = { clock: systemClock, ids: randomIds };
  const assertions = ownAssertions(who, () => first.tokens.current("status_panel"), clocks);
  const running = keepRegistered(
    options({ url: first.panel.machinesUrl, assertions, everyMs: 20 }),
    { clock: systemClock, random, log, fetch },
    life.signal,
  );
  try {
    await expect
      .poll(() => asked.slice(0, 3), { timeout: 30_000 })
      .toEqual(["register 200", "heartbeat 200", "heartbeat 200"]);
    await first.panel[Symbol.asyncDispose]();
    await expect.poll(() => events, { timeout: 30_000 }).toEqual(["panel.registered", "panel.unreachable"]);
    asked.length = 0;
    const { hostname: host, port } = new URL(first.panel.machinesUrl);
    await using _second = await panelBench(new ScriptedControl(), {
      tokens: first.tokens,
      machines: { host, port: Number(port) },
    });
    await expect.poll(() => asked.slice(0, 2), { timeout: 60_000 }).toEqual(["register 200", "heartbeat 200"]);
    expect(events).toEqual(["panel.registered", "panel.unreachable", "panel.registered"]);
  } finally {
    life.abort(new Error("the test is over"));
    await running;
  }
});

test("a panel that is down, slow or wrong is tried again later and less often, and said so once", async () => {
  const clock = new ManualClock();
  const { log, events } = listening();
  const at: number[] = [];
  let answer: (signal: AbortSignal) => Promise<Response> = () => Promise.reject(new TypeError("connection refused"));
  const fetch: typeof globalThis.fetch = (_, init) => {
    at.push(clock.monotonic());
    return answer(init?.signal ?? new AbortController().signal);
  };
  const life = new AbortController();
  const running = keepRegistered(options({}), { clock, random, log, fetch }, life.signal);
  await clock.advance(300_000);
  const down = at.length;
  expect(down).toBeGreaterThan(8);
  expect(down).toBeLessThan(16);
  answer = (signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }));
  await clock.advance(300_000);
  expect(at.length - down).toBeGreaterThan(7);
  answer = () => Promise.resolve(new Response("no", { status: 500 }));
  await clock.advance(120_000);
  expect(events).toEqual(["panel.unreachable"]);
  answer = () => Promise.resolve(new Response("{}"));
  await clock.advance(60_000);
  expect(events).toEqual(["panel.unreachable", "panel.registered"]);
  life.abort(new Error("the test is over"));
  await running;
  expect(clock.waiting).toBe(0);
});

test("the agent works its incident all the same while the panel hangs", async () => {
  const sockets = new Set<Socket>();
  const hanging = createServer((socket) => void sockets.add(socket.on("error", () => {})));
  hanging.listen(0, "127.0.0.1");
  await once(hanging, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    hanging.close();
  });
  const path = join(ticketFolder(), "tickets.db");
  const tickets = await openTickets(path, { clock: systemClock, ids: randomIds, log: silentLog });
  onTestFinished(() => tickets[Symbol.asyncDispose]());
  const engine = new ScriptedEngine(systemClock, [{ component: "tikv1" }]);
  await using control = await startControl({ engine, tickets, instance: CLUSTER });
  const program = resolve(import.meta.dirname, "../../harness/agent/main.ts");
  const child = spawn(process.execPath, [program, path, "--once", "--compose-mode"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      PD_URLS: "http://127.0.0.1:1",
      INSTANCE_ID: CLUSTER,
      ENGINE: `control:${control.server.url ?? ""}`,
      OPERATOR: "noop",
      CONTROL_PLANE: "compose_agent",
      AGENT_ID: "agent-1",
      DEPLOYMENT_HASH: CONTROLLED,
      TOKEN_DIR: join(control.folder, "tokens"),
      DASHBOARD_URL: `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`,
    },
    stdio: "ignore",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const closed = once(child, "close");
  await expect.poll(() => sockets.size, { timeout: 60_000 }).toBeGreaterThan(0);
  await tickets.reportViolation(violation());
  const [code] = (await closed) as [number | null];
  expect(code).toBe(0);
  expect(await tickets.listSessions()).toHaveLength(1);
});
