import { systemClock } from "../../harness/base/clock.ts";
import { ScriptedControl } from "./scripted-control.ts";
import type { PanelBench } from "./panel-bench.ts";

/** A busy evening, for pictures and for the tests of what people can see and reach. */
export function busyEvening(now: number): ScriptedControl {
  const control = new ScriptedControl();
  control.counts = { status_panel: 14, compose_agent: 212 };
  control.failed = { status_panel: 0, compose_agent: 3 };
  control.answers.set("/api/v1/tickets", { tickets: tickets(now) });
  control.answers.set("/api/v1/sessions", { sessions: [session(now)] });
  control.answers.set(`/api/v1/sessions/${SESSION}/entries`, (query: URLSearchParams) => ({
    entries: entries(now).filter(({ id }) => id > Number(query.get("after") ?? 0)),
  }));
  control.answers.set("/api/v1/approvals", { approvals: [approval(now)] });
  control.answers.set("/api/v1/watchdog", watchdog(now));
  return control;
}

/** Everybody is there and tells, again and again until `hush`, of a cluster with one store paused. */
export async function everybodyTells(bench: PanelBench): Promise<{ hush(): Promise<void> }> {
  const up = (component: string) => ({ component, status: "running", health: "none", restartCount: 0 });
  const cluster = [
    ...["pd0", "pd1", "pd2", "tikv0"].map(up),
    { ...up("tikv1"), status: "paused" },
    { ...up("tikv2"), restartCount: 2 },
    up("prometheus"),
  ];
  const features = ["docker", "start", "stop", "restart", "pause", "unpause", "ticket_hold", "ticket_unhold"];
  const tell = async () => {
    await bench.tell("compose-agent", { features }, { cluster });
    await bench.tell("agent", {}, { doing: "works on incident 7c1e44b2" });
    await bench.tell("watchdog", { compose_agent: false, control_plane: "status_panel", features: [] });
  };
  await tell();
  const hushed = new AbortController();
  const telling = (async () => {
    const until = AbortSignal.any([hushed.signal, bench.over]);
    while (!until.aborted) {
      await systemClock.sleep(2_000, until).catch(() => {});
      // The panel may be going meanwhile.
      if (!until.aborted) await tell().catch(() => {});
    }
  })();
  return {
    hush: async () => {
      hushed.abort();
      await telling;
    },
  };
}

export const SESSION = "20260101T180312-4f2a9c11";
const INCIDENT = "7c1e44b2";

export function ticket(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: 41,
    status: "acknowledged",
    invariant: "store_up",
    component: "tikv1",
    severity: "critical",
    message: "tikv1 does not answer; 29 % of client operations fail",
    occurrences: 38,
    firstSeenAt: 0,
    lastSeenAt: 0,
    resolvedAt: null,
    batchKey: INCIDENT,
    held: false,
    manual: false,
    escalated: false,
    attempt: 1,
    holder: "agent-1",
    leaseUntil: 0,
    ending: null,
    ...changes,
  };
}

function tickets(now: number) {
  return [
    ticket({ firstSeenAt: now - 150_000, lastSeenAt: now - 1_000 }),
    ticket({
      id: 42,
      invariant: "region_health",
      component: null,
      severity: "warning",
      message: "12 regions have a peer that is down",
      occurrences: 21,
      firstSeenAt: now - 95_000,
      lastSeenAt: now - 2_000,
    }),
    ticket({
      id: 39,
      status: "resolved",
      batchKey: "99aa",
      invariant: "pd_leader",
      component: "pd0",
      message: "PD had no leader for 9 s",
      resolvedAt: now - 4_000_000,
      firstSeenAt: now - 4_100_000,
    }),
  ];
}

export function session(now: number, changes: Readonly<Record<string, unknown>> = {}) {
  return {
    sessionId: SESSION,
    ticketId: 41,
    batchKey: INCIDENT,
    status: "running",
    ending: null,
    reason: null,
    operator: "runbook",
    scripted: true,
    model: null,
    attempt: 1,
    startedAt: now - 65_000,
    endedAt: null,
    diagnosis: null,
    usage: { usd: 0, turns: 0 },
    ...changes,
  };
}

export function entry(id: number, changes: Readonly<Record<string, unknown>> = {}) {
  return {
    id,
    sessionId: SESSION,
    type: "reasoning",
    summary: `step ${id}`,
    raw: `step ${id}`,
    tool: null,
    params: null,
    exitCode: null,
    effect: null,
    startedAt: id * 1_000,
    endedAt: id * 1_000,
    ...changes,
  };
}

function entries(now: number) {
  const call = (tool: string, effect: string, params: object) => {
    const summary = `${effect}: ${tool} ${JSON.stringify(params)}`;
    return { type: "tool_call", tool, effect, params, summary, raw: summary };
  };
  const result = (tool: string, summary: string, raw: string) => ({
    type: "tool_result",
    tool,
    summary,
    raw,
    exitCode: 0,
  });
  const thought = (summary: string) => ({ summary, raw: summary });
  const nodes = ["pd0", "pd1", "pd2", "tikv0", "tikv2", "prometheus"].map((name) => `${name} running`);
  const steps = [
    thought("One store does not answer while its process is there. I look at the containers first."),
    call("list_containers", "read", { reason: "which containers are up" }),
    result("list_containers", "7 containers, tikv1 is paused", [...nodes, "tikv1 paused"].join("\n")),
    call("pd_request", "read", { method: "GET", path: "/pd/api/v1/stores", reason: "what PD thinks of tikv1" }),
    result("pd_request", "store 4 (tikv1) is Disconnected", '{"count":3,"stores":[{"store":{"id":4}}]}'),
    thought("tikv1 is paused: its process is frozen, so its leaders moved on. Unpausing it is the repair."),
    call("unpause_container", "write", { component: "tikv1", reason: "no heartbeat for two minutes" }),
  ];
  return steps.map((step, index) => entry(index + 1, { startedAt: now - 60_000 + index * 6_000, ...step }));
}

export function approval(now: number, changes: Readonly<Record<string, unknown>> = {}) {
  return {
    id: "a81c02f4",
    status: "waiting",
    claim: { batchKey: INCIDENT, holder: "agent-1", attempt: 1 },
    operator: "runbook",
    tool: "unpause_container",
    input: { component: "tikv1", reason: "it is paused; PD has seen no heartbeat for two minutes" },
    effect: "write",
    callDigest: "sha256:00",
    state: { tickets: [41, 42], tikv1: "paused" },
    requestedAt: now - 12_000,
    remainingMs: 288_000,
    decidedAt: null,
    decidedBy: null,
    reason: null,
    ...changes,
  };
}

function watchdog(now: number) {
  const target = (component: string, changes = {}) => ({
    deployment: "deployment-1",
    component,
    state: "healthy",
    reason: "",
    attempts: 0,
    maxAttempts: 5,
    gaveUp: false,
    legacy: false,
    nextAttemptAt: null,
    lookedAt: now - 4_000,
    everyMs: 30_000,
    ...changes,
  });
  const event = (id: number, component: string, kind: string, reason: string, agoMs: number) => ({
    id,
    deployment: "deployment-1",
    component,
    at: now - agoMs,
    kind,
    state: "unhealthy",
    reason,
    attempt: 1,
  });
  return {
    targets: [
      target("compose-agent"),
      target("agent", {
        state: "unhealthy",
        reason: "its health check has failed 3 times",
        attempts: 1,
        nextAttemptAt: now + 14_000,
      }),
      target("statuspanel"),
      target("watchdog", { reason: "watches compose-agent, agent, statuspanel" }),
    ],
    events: [
      event(1, "agent", "state", "its health check has failed 3 times: the next attempt is due in 10 s", 40_000),
      event(2, "agent", "attempt", "restart 1 of 5, after 10.4 s", 28_000),
    ],
  };
}
