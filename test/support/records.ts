import { storeKill } from "../../scenarios/tikv/store-kill.ts";
import { recordSchema, scenarioSchema, type Action, type TrialRecord } from "../../harness/store/record.ts";
import type { Component } from "../../harness/protocol.ts";

const state = (component: string, startedAt = 1) => ({
  component: component as Component,
  status: "running",
  startedAt,
  restartCount: 0,
  networks: ["net"],
  limits: { cpus: null, memoryBytes: null },
});

/** A completed trial of `tikv/store-kill` in which a scripted operator did everything right. Override what matters. */
export function completedRecord(override: Partial<TrialRecord> = {}): TrialRecord {
  const samples = Array.from({ length: 80 }, (_, index) => {
    const atMs = index * 250;
    return { atMs, held: [atMs < 500 || atMs >= 6_000, atMs < 250 || atMs >= 8_000, true, true] };
  });
  return recordSchema.parse({
    format: 1,
    id: "2026-11-20-100000-tikv--store-kill-runbook-ab12",
    scenario: scenarioSchema.parse(storeKill),
    seed: 7,
    engine: "process",
    timeFactor: 0.2,
    baselineKey: "0123456789abcdef",
    subject: {
      name: "tikv",
      title: "TiKV stand-in",
      standIn: true,
      build: "b1",
      owned: true,
      instance: "a1b2c3d4",
    },
    operator: {
      name: "runbook",
      scripted: true,
      notice: "scripted operator: shows the lab, says nothing about AI",
      mode: "execute",
      model: null,
      promptDigest: null,
    },
    labVersion: "0.1.0",
    startedAt: "2026-11-20T10:00:00.000Z",
    endedAt: "2026-11-20T10:00:40.000Z",
    status: "completed",
    voidReason: null,
    injections: [{ kind: "kill", label: "SIGKILL", target: "tikv1", atMs: 0, healedByLab: false }],
    marks: {
      breachMs: 100,
      ticketMs: 1_600,
      hypothesisMs: 5_000,
      firstWriteMs: 6_100,
      operatorEndedMs: 9_000,
      recoveredMs: 8_000,
      stableMs: 13_000,
      horizonMs: 19_750,
    },
    historyZeroMs: 1_000,
    samples,
    tickets: [
      {
        id: 1,
        invariant: "store_up",
        component: "tikv1",
        severity: "critical",
        message: "tikv1 does not answer",
        openedMs: 1_600,
        status: "resolved",
      },
    ],
    session: {
      id: "s1",
      ending: "resolved",
      reason: "started it",
      diagnosis: {
        cause: "process-stopped",
        components: ["tikv1"],
        explanation: "exited with 137",
        evidence: ["exit code 137"],
        done: "started it",
      },
      usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0, turns: 0 },
    },
    actions: [act("container_inspect", "read", "tikv1", 4_000), act("container_start", "write", "tikv1", 6_100)],
    hypotheses: [{ cause: "process-stopped", components: ["tikv1"], confidence: 0.9, atMs: 5_000 }],
    statesBefore: ["pd0", "tikv0", "tikv1"].map((name) => state(name)),
    statesAfter: [state("pd0"), state("tikv0"), state("tikv1", 2)],
    attestation: { before: "d1", after: null },
    clients: { operations: 1_204, ok: 1_150, failed: 13, unknown: 41, firstBreachMs: 100, belowTargetMs: 9_800 },
    integrity: { verdict: { verdict: "pass", checked: 602 }, acknowledged: 602, lost: 0 },
    blinding: { level: "partial", why: "no container" },
    waitedForPeopleMs: 0,
    notes: [],
    grade: null,
    ...override,
  });
}

export function act(tool: string, effect: Action["effect"], target: string | null, atMs = 1, ok = true): Action {
  return { atMs, endMs: atMs + 10, tool, effect, target, input: {}, ok, summary: "" };
}
