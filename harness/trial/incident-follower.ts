import { z } from "zod";
import type { Deps, InstanceId } from "../protocol.ts";
import type { Action, TrialRecord } from "../store/record.ts";
import { watchTickets, type Session, type StoredLogEntry, type Ticket, type Tickets } from "../../tickets/index.ts";
import { isRightDiagnosis } from "./grade.ts";
import type { Recorder } from "./recorder.ts";

const hypothesisParams = z.object({
  cause: z.string(),
  components: z.array(z.string()).default([]),
  confidence: z.number().default(0),
});

const STEPS_EVERY_MS = 200;

/** Follows the ticket file while a trial runs: what people see as it happens, and the record's part of it. */
export class IncidentFollower implements AsyncDisposable {
  readonly #tickets: Tickets;
  readonly #instance: InstanceId;
  readonly #run: Recorder;
  readonly #deps: Pick<Deps, "clock" | "log">;
  readonly #stop = new AbortController();
  readonly #seen = new Map<number, Ticket>();
  readonly #lastEntry = new Map<string, number>();
  readonly #done: Promise<void>;
  #reading: Promise<readonly Session[]> = Promise.resolve([]);
  #sawTicket: (() => void) | null = null;
  /** Writes that were begun and of which no result is known yet. */
  readonly #begun = new Map<number, StoredLogEntry>();
  #gone: string | null = null;
  /** Since the trial counts. */
  readonly firstTicket: Promise<void>;

  constructor(tickets: Tickets, instance: InstanceId, run: Recorder, deps: Pick<Deps, "clock" | "log">) {
    this.#tickets = tickets;
    this.#instance = instance;
    this.#run = run;
    this.#deps = deps;
    this.firstTicket = new Promise((resolve) => {
      this.#sawTicket = resolve;
    });
    this.#done = this.#follow();
    this.#done.catch(() => {});
  }

  /** Reads what is there now. Called once more after the operator has ended, so that nothing is missed. */
  catchUp(): Promise<readonly Session[]> {
    return this.#oneAtATime();
  }

  async #read(): Promise<readonly Session[]> {
    for (const ticket of await this.#tickets.list({ instance: this.#instance })) this.#ticket(ticket);
    const sessions = (await this.#tickets.listSessions())
      .filter((session) => session.instance === this.#instance && this.#isOfTheTrial(session))
      .toSorted((a, b) => a.startedAt - b.startedAt);
    for (const { sessionId } of sessions) {
      for (const entry of await this.#tickets.logEntries(sessionId, this.#lastEntry.get(sessionId) ?? 0)) {
        this.#lastEntry.set(sessionId, entry.id);
        this.#entry(entry);
      }
    }
    return sessions;
  }

  /** Its program has ended: a session without an end has failed, and what it was doing may have been done. */
  operatorGone(why: string): void {
    this.#gone = why;
  }

  /** Tickets and session into the record, as they are now. */
  async settle(): Promise<void> {
    const { record } = this.#run;
    const session = (await this.catchUp()).at(-1);
    if (this.#gone !== null) {
      for (const call of this.#begun.values())
        this.#action({ ...call, exitCode: 1, summary: "no result: the operator's program ended" });
      this.#begun.clear();
    }
    record.tickets = [...this.#seen.values()].map((ticket) => ({
      id: ticket.id,
      invariant: ticket.invariant,
      component: ticket.component,
      severity: ticket.severity,
      message: ticket.message,
      openedMs: Math.round(this.#run.sinceMsOf(ticket.firstSeenAt)),
      status: ticket.status,
    }));
    record.session = session === undefined ? null : sessionOf(session, this.#gone);
    if (session !== undefined) describeOperator(record, session);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done.catch(() => {});
  }

  /** Tickets wake us; steps of a session do not, and people want to see them as they happen. */
  async #follow(): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#stop;
    const woken = (async () => {
      for await (const _ of watchTickets(this.#tickets.path, { clock, log, signal })) await this.#oneAtATime();
    })();
    while (!signal.aborted) {
      await this.#oneAtATime();
      await clock.sleep(STEPS_EVERY_MS, signal).catch(() => {});
    }
    await woken;
  }

  /** Two readers at once would show an entry twice. */
  #oneAtATime(): Promise<readonly Session[]> {
    this.#reading = this.#reading.then(
      () => this.#read(),
      () => this.#read(),
    );
    return this.#reading;
  }

  /** One of before worked a ticket of the cluster's start, and its operator was started again. */
  #isOfTheTrial({ startedAt }: Session): boolean {
    return this.#run.counting && this.#run.sinceMsOf(startedAt) >= 0;
  }

  #ticket(ticket: Ticket): void {
    const before = this.#seen.get(ticket.id);
    this.#seen.set(ticket.id, ticket);
    if (before === undefined) {
      const { id, severity, message } = ticket;
      this.#run.emit({ type: "ticket", id, severity, message }, ticket.firstSeenAt);
      // Those of before were about the start of things, and are closed by then.
      if (this.#run.counting) {
        this.#run.mark("ticketMs", Math.max(0, this.#run.sinceMsOf(ticket.firstSeenAt)));
        this.#sawTicket?.();
      }
    }
    if (ticket.status === "resolved" && before?.status !== "resolved")
      this.#run.emit({ type: "ticket-resolved", id: ticket.id });
  }

  #entry(entry: StoredLogEntry): void {
    const kind = ({ reasoning: "reasoning", tool_call: "call", tool_result: "result" } as const)[entry.type];
    this.#run.emit(
      { type: "step", kind, text: kind === "call" ? callText(entry) : entry.summary, effect: entry.effect },
      entry.endedAt,
    );
    // A result carries its call's start, input and effect, so the call itself only has to be shown.
    if (entry.type === "tool_call" && entry.effect !== null && entry.effect !== "read")
      this.#begun.set(entry.startedAt, entry);
    if (entry.type !== "tool_result") return;
    this.#begun.delete(entry.startedAt);
    this.#action(entry);
  }

  #action(entry: StoredLogEntry): void {
    const { record } = this.#run;
    const atMs = Math.round(this.#run.sinceMsOf(entry.startedAt));
    const ok = (entry.exitCode ?? 0) === 0;
    const action: Action = {
      atMs,
      endMs: Math.round(this.#run.sinceMsOf(entry.endedAt)),
      tool: entry.tool ?? "",
      effect: entry.effect ?? "read",
      target: targetOf(entry.params),
      input: entry.params,
      ok,
      summary: entry.summary,
    };
    record.actions.push(action);
    if (action.effect !== "read") this.#run.mark("firstWriteMs", atMs);
    if (entry.tool === "hypothesis" && ok) this.#hypothesis(entry.params, atMs);
  }

  #hypothesis(params: unknown, atMs: number): void {
    const parsed = hypothesisParams.safeParse(params);
    if (!parsed.success) return;
    this.#run.record.hypotheses.push({ ...parsed.data, atMs });
    if (isRightDiagnosis(this.#run.record, parsed.data)) this.#run.mark("hypothesisMs", atMs);
  }
}

/** `container_start tikv1: it was stopped`, for people; the whole call is in the session's log. */
function callText({ tool, params, summary }: StoredLogEntry): string {
  const { component, reason, ...rest } = (params ?? {}) as Record<string, unknown>;
  if (tool === null) return summary;
  const values = [component, ...Object.values(rest)].filter((value) => value !== undefined);
  const shown = values.map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  return `${[tool, ...shown].join(" ")}${typeof reason === "string" ? ` - ${reason}` : ""}`;
}

function targetOf(params: unknown): string | null {
  const component = (params as { component?: unknown } | null)?.component;
  return typeof component === "string" ? component : null;
}

/** Which operator it really was, by its own program: the plan knows only what was asked for. */
function describeOperator(record: TrialRecord, { model, details }: Session): void {
  const { model: _, prompt, ...rest } = details;
  record.operator.model = model ?? record.operator.model;
  record.operator.promptDigest = prompt ?? null;
  record.operator.details = rest;
}

function sessionOf(session: Session, gone: string | null): TrialRecord["session"] {
  return {
    id: session.sessionId,
    ending: session.ending ?? (gone === null ? "running" : "failed"),
    reason: session.reason ?? gone ?? "",
    diagnosis:
      session.diagnosis === null
        ? null
        : {
            ...session.diagnosis,
            components: [...session.diagnosis.components],
            evidence: [...session.diagnosis.evidence],
          },
    usage: session.usage,
  };
}
