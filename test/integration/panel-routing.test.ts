import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { keepKnownToPanel } from "../../harness/agent/known-to-panel.ts";
import type { ControlSettings } from "../../harness/control/settings.ts";
import { readSettings } from "../../harness/control/settings.ts";
import { clusterStatus, keepRegistered, ownAssertions } from "../../harness/control/registration.ts";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import { DEPLOYMENT, startControl } from "../support/control-server.ts";
import { panelBench, type PanelBench } from "../support/panel-bench.ts";
import { panelPerson } from "../support/panel-person.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { CLUSTER, ticketFolder, violation } from "../support/ticket-folder.ts";

const deps = {
  clock: systemClock,
  ids: randomIds,
  log: silentLog,
  random: seededRandom(1),
  fetch: globalThis.fetch,
};

const nodes = () =>
  new ScriptedEngine(
    systemClock,
    ["pd0", "tikv0", "tikv1"].map((component) => ({ component })),
  );

async function ticketFile(): Promise<Tickets> {
  const tickets = await openTickets(`${ticketFolder()}/tickets.db`, deps);
  onTestFinished(() => tickets[Symbol.asyncDispose]());
  return tickets;
}

/** Runs beside the test and ends with it. */
function beside(task: (signal: AbortSignal) => Promise<void>): AbortController {
  const life = new AbortController();
  const running = task(life.signal);
  onTestFinished(async () => {
    life.abort(new Error("the test is over"));
    await running;
  });
  return life;
}

const WAIT = { timeout: 60_000, interval: 50 };

function settingsOf(bench: PanelBench, tokenDir: string, changes: Record<string, string> = {}): ControlSettings {
  const env = { DASHBOARD_URL: bench.panel.machinesUrl, DEPLOYMENT_HASH: DEPLOYMENT, TOKEN_DIR: tokenDir, ...changes };
  return readSettings({ env, defaults: { agentId: "agent-1" } }).settings;
}

test("through a real compose-agent people see its tickets, sessions and cluster, command its containers, and decide", async () => {
  const engine = nodes();
  const tickets = await ticketFile();
  const { ticket } = await tickets.reportViolation(violation());
  const incident = await tickets.claimNext({ instances: [CLUSTER], holder: "agent-1", leaseMs: 600_000 });
  if (incident === null) throw new Error("nothing to claim");
  const sessionId = await tickets.startSession(incident, { operator: "runbook", scripted: true, model: null });
  await using control = await startControl({ engine, tickets, mode: "propose", instance: CLUSTER });
  const bench = await panelBench(control.client("status_panel"), {
    tokens: control.tokens,
    deploymentHash: DEPLOYMENT,
  });
  onTestFinished(() => bench[Symbol.asyncDispose]());
  const who = { agentId: "compose-agent", deploymentHash: DEPLOYMENT, part: "compose-agent" } as const;
  beside((signal) =>
    keepRegistered(
      {
        ...who,
        url: bench.panel.machinesUrl,
        version: "1.2.3",
        composeAgent: true,
        controlPlane: "compose_agent",
        features: () => [],
        status: (asked) => clusterStatus(engine, asked),
        assertions: ownAssertions(who, () => control.tokens.current("status_panel"), deps),
        everyMs: 100,
      },
      deps,
      signal,
    ),
  );
  const agent = control.client("compose_agent", { agentId: "agent-1" });
  beside((signal) =>
    keepKnownToPanel(
      {
        settings: settingsOf(bench, "/nowhere", { COMPOSE_AGENT_ENABLED: "true", CONTROL_PLANE: "compose_agent" }),
        client: agent,
        engine,
        tickets,
        mode: "propose",
        doing: () => "works on it",
      },
      deps,
      signal,
    ),
  );
  const anna = await panelPerson(bench);
  await expect
    .poll(anna.page, WAIT)
    .toMatch(/id="program-compose-agent-compose-agent"[^]*alive[^]*id="program-agent-agent-1"[^]*alive[^]*works on it/);
  await expect.poll(anna.page, WAIT).toMatch(/tikv1 does not answer[^]*3 of 3 components running/);

  expect(await anna.does("/commands", { command: "restart", component: "tikv0" })).toMatch(
    /^restart tikv0: done · by the compose-agent · plane \w+\. took/,
  );
  expect(engine.acts).toContain("restart tikv0");
  await expect.poll(anna.page, WAIT).toMatch(/restart tikv0[^]*?done/);

  const now = { startedAt: systemClock.now(), endedAt: systemClock.now() };
  await tickets.log(sessionId, { type: "reasoning", summary: "the store is frozen", ...now });
  await expect.poll(anna.page, WAIT).toContain("the store is frozen");
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

  expect(await anna.does("/commands", { command: "ticket_hold", ticket: String(ticket.id) })).toContain("done");
  expect(await tickets.get(ticket.id)).toMatchObject({ held: true });
  await expect.poll(anna.page, WAIT).toContain("held by a person");

  await control.stop();
  await expect.poll(anna.page, WAIT).toContain("The compose-agent does not answer");
  expect(await anna.does("/commands", { command: "restart", component: "tikv0" })).toMatch(
    /refused.*does not answer.*no agent holds the engine/,
  );
});
