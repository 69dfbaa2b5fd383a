import type { EpochMs } from "../../harness/base/clock.ts";
import { trackKey } from "../../harness/monitor/index.ts";
import type { MonitorTickets } from "../../harness/monitor/index.ts";
import type { InstanceId } from "../../harness/protocol.ts";
import type { MonitorBeat, ReportOutcome, ResolveOutcome, Ticket, ViolationReport } from "../../tickets/index.ts";

/** Tickets in memory, as far as a monitor needs them: one unresolved ticket per violation. */
export class MemoryTickets implements MonitorTickets {
  readonly all: Ticket[] = [];
  readonly beats: MonitorBeat[] = [];
  /** Thrown by every call while set. */
  broken: Error | null = null;
  /** What the next resolutions answer instead of resolving. */
  refuse: ResolveOutcome | null = null;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => 0) {
    this.#nowMs = nowMs;
  }

  async reportViolation(report: ViolationReport): Promise<ReportOutcome> {
    this.#check();
    const open = this.all.findIndex(
      (t) =>
        t.status !== "resolved" && trackKey(t.invariant, t.component) === trackKey(report.invariant, report.component),
    );
    const before = this.all[open];
    if (before === undefined) return { action: "opened", ticket: this.add(report) };
    const ticket = {
      ...before,
      severity: report.severity,
      message: report.message,
      occurrences: before.occurrences + 1,
      lastSeenAt: this.#nowMs() as EpochMs,
    };
    this.all[open] = ticket;
    return { action: "updated", ticket };
  }

  add(report: Omit<ViolationReport, "snapshot"> & { readonly snapshot?: unknown }, manual = false): Ticket {
    const now = this.#nowMs() as EpochMs;
    const ticket: Ticket = {
      id: this.all.length + 1,
      status: "open",
      instance: report.instance,
      invariant: report.invariant,
      component: report.component,
      severity: report.severity,
      message: report.message,
      occurrences: 1,
      firstSeenAt: now,
      lastSeenAt: now,
      resolvedAt: null,
      snapshot: report.snapshot ?? null,
      context: null,
      diagnosis: null,
      batchKey: "batch",
      held: false,
      manual,
      escalated: false,
      attempt: 0,
      holder: null,
      leaseUntil: null,
      ending: null,
    };
    this.all.push(ticket);
    return ticket;
  }

  async resolveVerified(ticketId: number): Promise<ResolveOutcome> {
    this.#check();
    if (this.refuse !== null) return this.refuse;
    const index = this.all.findIndex((t) => t.id === ticketId);
    const ticket = this.all[index];
    if (ticket === undefined) return "gone";
    this.all[index] = { ...ticket, status: "resolved", resolvedAt: this.#nowMs() as EpochMs };
    return "resolved";
  }

  async unresolved(instance: InstanceId): Promise<readonly Ticket[]> {
    this.#check();
    return this.all.filter((t) => t.status !== "resolved" && t.instance === instance);
  }

  async beat(beat: MonitorBeat): Promise<void> {
    this.#check();
    this.beats.push(beat);
  }

  async endBeat(): Promise<void> {
    this.#check();
  }

  #check(): void {
    if (this.broken !== null) throw this.broken;
  }
}
