import { expect, onTestFinished, test } from "vitest";
import { systemClock, type EpochMs } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { keepKnownToPanel } from "../../harness/agent/known-to-panel.ts";
import { controlClient, type DeliveredCommand } from "../../harness/control/client/index.ts";
import { readOrder, signOrder, type Order } from "../../harness/control/legacy/order.ts";
import { serveOrders } from "../../harness/control/legacy/serve-orders.ts";
import { readSettings } from "../../harness/control/settings.ts";
import type { Component } from "../../harness/protocol.ts";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import { cutProxy } from "../support/cut-proxy.ts";
import { DEPLOYMENT, panelBench, type PanelBench } from "../support/panel-bench.ts";
import { panelPerson } from "../support/panel-person.ts";
import { ScriptedControl } from "../support/scripted-control.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { CLUSTER, ticketFolder, violation } from "../support/ticket-folder.ts";

const deps = {
  clock: systemClock,
  ids: randomIds,
  log: silentLog,
  random: seededRandom(1),
  fetch: globalThis.fetch,
};
const WAIT = { timeout: 60_000, interval: 50 };
const AGENT = "agent-1";

/** Its acts can be held up. */
class SlowEngine extends ScriptedEngine {
  /** Resolves when an act has begun. */
  readonly begun = Promise.withResolvers<void>();
  go: Promise<void> = Promise.resolve();

  constructor() {
    super(
      systemClock,
      ["pd0", "tikv0", "tikv1"].map((component) => ({ component })),
    );
  }

  override async pause(component: Component, signal: AbortSignal): Promise<void> {
    this.begun.resolve();
    await this.go;
    await super.pause(component, signal);
  }
}

interface Scene {
  readonly bench: PanelBench;
  readonly engine: SlowEngine;
  readonly tickets: Tickets;
}

/** A panel without a compose-agent, an engine and a ticket file. */
async function scene(): Promise<Scene> {
  const tickets = await openTickets(`${ticketFolder()}/tickets.db`, deps);
  onTestFinished(() => tickets[Symbol.asyncDispose]());
  const control = new ScriptedControl();
  control.down = "there is no compose-agent here";
  const bench = await panelBench(control, { deploymentHash: DEPLOYMENT });
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return { bench, engine: new SlowEngine(), tickets };
}

/** The agent's part beside the test; ends with it. */
function agent({ bench, engine, tickets }: Scene, url = bench.panel.machinesUrl): AbortController {
  const life = new AbortController();
  const env = { DASHBOARD_URL: url, DEPLOYMENT_HASH: DEPLOYMENT, TOKEN_DIR: `${bench.folder}/tokens` };
  const { settings } = readSettings({ env, defaults: { agentId: AGENT } });
  const options = { settings, client: null, engine, tickets, mode: "propose", doing: () => "waits" } as const;
  const running = keepKnownToPanel(options, deps, life.signal);
  onTestFinished(async () => {
    life.abort(new Error("the test is over"));
    await running;
  });
  return life;
}

test("in legacy mode people see the agent's tickets, session and steps, decide, and command; all of it is in its ticket file", async () => {
  const { bench, engine, tickets } = await scene();
  const { ticket } = await tickets.reportViolation(violation());
  const incident = await tickets.claimNext({ instances: [CLUSTER], holder: AGENT, leaseMs: 600_000 });
  if (incident === null) throw new Error("nothing to claim");
  const sessionId = await tickets.startSession(incident, { operator: "runbook", scripted: true, model: null });
  const now = { startedAt: systemClock.now(), endedAt: systemClock.now() };
  const raw = `long ${"x".repeat(200_000)}`;
  for (const summary of ["the store is frozen", "it is tikv1"])
    await tickets.log(sessionId, { type: "reasoning", summary, raw, ...now });
  const life = agent({ bench, engine, tickets });
  const anna = await panelPerson(bench);
  await expect.poll(anna.page, WAIT).toMatch(/Legacy mode: the agent holds the engine itself and answers here/);
  await expect
    .poll(anna.page, WAIT)
    .toMatch(
      /being worked on[^]*tikv1 does not answer[^]*the store is frozen[^]*it is tikv1[^]*3 of 3 components running/,
    );

  const proposal = await tickets.approvals.request({
    claim: incident,
    instance: CLUSTER,
    sessionId,
    operator: "runbook",
    tool: "restart_container",
    input: { component: "tikv1", reason: "frozen" },
    effect: "write",
    state: {},
    timeoutMs: 600_000,
  });
  await expect.poll(anna.page, WAIT).toContain(`approval-${proposal.id}-approve`);
  const decide = { verdict: "approve", reason: "go on" };
  expect(await anna.does(`/approvals/${proposal.id}`, { ...decide, call_digest: "sha256:another" })).toMatch(
    /^Not decided/,
  );
  expect(await anna.does(`/approvals/${proposal.id}`, { ...decide, call_digest: proposal.callDigest })).toBe(
    "Approved.",
  );
  expect(await tickets.approvals.get(proposal.id)).toMatchObject({ status: "approved", decidedBy: "panel:anna" });

  expect(await anna.does("/commands", { command: "pause", component: "tikv1" })).toMatch(
    /^pause tikv1: done · by the agent · plane status_panel/,
  );
  expect((await engine.inspect("tikv1" as Component, AbortSignal.timeout(5_000))).status).toBe("paused");
  expect(await anna.does("/commands", { command: "start", component: "tikv7" })).toMatch(/failed · by the agent/);
  expect(await anna.does("/commands", { command: "ticket_hold", ticket: String(ticket.id) })).toMatch(
    /done · by the agent/,
  );
  expect((await tickets.get(ticket.id)).held).toBe(true);
  await expect.poll(anna.page, WAIT).toContain("held by a person");
  expect(await tickets.people.list(10)).toMatchObject([
    { name: "ticket_hold", state: "success", by: "anna in the panel", agent: AGENT },
    { name: "start", target: "tikv7", state: "failed" },
    { name: "pause", target: "tikv1", state: "success", report: { executed_by: "status_panel" } },
  ]);

  life.abort(new Error("the agent ends"));
  bench.clock.move(60_000);
  expect(await anna.does("/commands", { command: "start", component: "tikv1" })).toMatch(
    /refused.*agent that holds the engine is gone/,
  );
  await expect.poll(anna.page, WAIT).toContain("The compose-agent does not answer");
});

test("a command whose connection broke in its middle is carried out once, and ends known", async () => {
  const one = await scene();
  await using wire = await cutProxy(one.bench.panel.machinesUrl);
  const held = Promise.withResolvers<void>();
  one.engine.go = held.promise;
  agent(one, wire.url);
  const anna = await panelPerson(one.bench);
  await expect.poll(anna.page, WAIT).toContain("Legacy mode");
  const said = anna.does("/commands", { command: "pause", component: "tikv0" });
  await one.engine.begun.promise;
  wire.cut();
  held.resolve();
  await expect.poll(() => one.tickets.people.list(1), WAIT).toMatchObject([{ state: "success" }]);
  wire.mend();
  expect(await said).toMatch(/^pause tikv0: done · by the agent/);
  expect(one.engine.acts).toEqual(["pause tikv0"]);
});

test("an agent that was killed in the middle looks into it at its next start, does nothing twice, and says what came of it", async () => {
  const one = await scene();
  const { bench, engine, tickets } = one;
  // The first: it registers, fetches, writes its intent, and is gone; of the second command even before it acts.
  const features = ["restart", "pause", "tickets"];
  await bench.tell("agent", { agent_id: "agent-1", deployment_hash: DEPLOYMENT, compose_agent: false, features });
  await using client = controlClient(
    {
      url: bench.panel.machinesUrl,
      plane: "status_panel",
      agentId: AGENT,
      deploymentHash: DEPLOYMENT,
      token: () => bench.tokens.current("status_panel"),
    },
    deps,
  );
  const anna = await panelPerson(bench);
  const fetched = new Map<string, DeliveredCommand>();
  const said: Promise<string>[] = [];
  for (const [command, component] of [
    ["pause", "tikv0"],
    ["restart", "tikv1"],
  ] as const) {
    said.push(anna.does("/commands", { command, component }));
    for (;;) {
      const got = await client.wait(20_000, AbortSignal.timeout(60_000), [...fetched.keys()]);
      if (got === null) throw new Error(`nothing came: ${await Promise.race([...said, "?"])}`);
      fetched.set(got.command_id, got);
      if (got.name === command) break;
    }
  }
  for (const { command_id: id, name, params } of fetched.values()) {
    if (name !== "pause" && name !== "restart") continue;
    const target = String(params["component"]);
    const at = (systemClock.now() + 1) as EpochMs;
    await tickets.people.begin({ id, agent: AGENT, by: "anna in the panel", name, target, params, at });
  }
  await engine.pause("tikv0" as Component, AbortSignal.timeout(5_000));
  agent(one);
  expect(await Promise.all(said)).toEqual([
    expect.stringMatching(/^pause tikv0: done · by the agent/),
    expect.stringMatching(/^restart tikv1: failed · by the agent.*ended before it took effect/),
  ]);
  expect(engine.acts).toEqual(["pause tikv0"]);
});

test("nothing is done for whoever answers in the panel's place: without the seal, with another's, for another agent, too late", async () => {
  const { bench, engine, tickets } = await scene();
  const token = bench.tokens.current("status_panel")?.token ?? "";
  const now = systemClock.now();
  const order = (changes: Partial<Order>): Order => ({
    id: randomIds.hex(8),
    to: AGENT,
    deploymentHash: DEPLOYMENT,
    kind: "command",
    name: "restart",
    params: { component: "tikv0" },
    by: "somebody",
    beginBy: (now + 60_000) as EpochMs,
    ...changes,
  });
  const sealed = (made: Order, by = token): Partial<DeliveredCommand> => ({
    command_id: made.id,
    order: signOrder(made, by),
  });
  const right = order({});
  const another = order({});
  const given: readonly Partial<DeliveredCommand>[] = [
    { command_id: right.id },
    sealed(right, "another token, long enough to be one"),
    { ...sealed(right), command_id: another.id },
    { ...sealed(right), order: `${signOrder(right, token).slice(0, -2)}AA` },
    sealed(order({ to: "agent-2" })),
    sealed(order({ deploymentHash: "another" })),
    sealed(order({ kind: "ask", name: "GET", params: { target: "/api/v1/tickets" }, to: "agent-2" })),
    sealed(order({ beginBy: (now - 120_000) as EpochMs })),
    sealed(order({ name: "kill" })),
    sealed(order({ name: "exec", params: { component: "tikv0", argv: ["rm"] } })),
    sealed(order({ params: { component: "../tikv0" } })),
  ];
  const life = new AbortController();
  const waiting = [...given];
  const reports: unknown[] = [];
  const client = {
    wait: async (_: number, signal: AbortSignal) => {
      const next = waiting.shift();
      if (next !== undefined) return { id: "", name: "restart", params: {}, plane: "status_panel", ...next } as never;
      await systemClock.sleep(60_000, signal).catch(() => {});
      return null;
    },
    report: async (report: unknown) => void reports.push(report),
  };
  const plane = { client, tokens: bench.tokens, engine, tickets, agentId: AGENT, deploymentHash: DEPLOYMENT };
  const running = serveOrders({ ...plane, version: "1", mode: "execute" }, deps, life.signal);
  // Only what was sealed for it is answered at all.
  await expect.poll(() => reports.length, WAIT).toBe(4);
  life.abort(new Error("enough"));
  await running;
  expect(reports).toMatchObject([
    { status: "failed", error: "it reached the agent too late, and was not executed" },
    { status: "failed", error: "an agent in legacy mode cannot kill" },
    { status: "failed", error: "an agent in legacy mode cannot exec" },
    { status: "failed", error: "these parameters make no sense" },
  ]);
  expect([engine.acts, await tickets.people.list(10)]).toEqual([[], []]);
  const me = { to: AGENT, deploymentHash: DEPLOYMENT };
  expect(readOrder(signOrder(right, token), token, me)).toEqual({ ok: true, order: right });
});
