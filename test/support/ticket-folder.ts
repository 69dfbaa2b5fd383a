import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import type { Component, Incident, InstanceId, Usage } from "../../harness/protocol.ts";
import {
  openTickets,
  type Completion,
  type TicketOptions,
  type Tickets,
  type ViolationReport,
} from "../../tickets/index.ts";
import { ManualClock } from "./manual-clock.ts";

export const CLUSTER = "aabbccdd00112233" as InstanceId;
export const LEASE_MS = 10_000;
export const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  usd: 0,
  turns: 0,
};

/** A folder of this test alone; a failing test keeps it. */
export function ticketFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tickets-"));
  onTestFinished(({ task }) => {
    if (task.result?.state !== "fail") rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export interface Bench {
  readonly clock: ManualClock;
  readonly path: string;
  readonly tickets: Tickets;
}

/** An empty ticket file on a clock that the test drives. */
export async function newTickets(options: Partial<TicketOptions> = {}): Promise<Bench> {
  const clock = new ManualClock();
  const path = join(ticketFolder(), "tickets.db");
  const tickets = await openTickets(path, { clock, ids: randomIds, log: silentLog, ...options });
  onTestFinished(() => tickets[Symbol.asyncDispose]());
  return { clock, path, tickets };
}

export function violation(changes: Partial<ViolationReport> = {}): ViolationReport {
  return {
    instance: CLUSTER,
    invariant: "store_up",
    component: "tikv1" as Component,
    severity: "critical",
    message: "tikv1 does not answer",
    snapshot: { answers: false },
    ...changes,
  };
}

export async function claim(tickets: Tickets, holder = "agent-1"): Promise<Incident> {
  const incident = await tickets.claimNext({ instances: [CLUSTER], holder, leaseMs: LEASE_MS });
  if (incident === null) throw new Error("nothing to claim");
  return incident;
}

/** Starts a session on a claimed incident and ends both. */
export async function workOn(
  tickets: Tickets,
  incident: Incident,
  ending: Completion["ending"],
  changes: Partial<Completion> = {},
): Promise<string> {
  const sessionId = await tickets.startSession(incident, { operator: "runbook", scripted: true, model: null });
  await tickets.complete(incident, {
    sessionId,
    ending,
    reason: `ended ${ending}`,
    diagnosis: null,
    usage: NO_USAGE,
    ...changes,
  });
  return sessionId;
}
