import { createHash } from "node:crypto";
import { z } from "zod";
import type { Clock, EpochMs } from "../harness/base/clock.ts";
import { HarnessError } from "../harness/base/errors.ts";
import type { Ids } from "../harness/base/ids.ts";
import type { Log } from "../harness/base/log.ts";
import type { Effect, InstanceId } from "../harness/protocol.ts";
import type { Moment, TicketFile } from "./ticket-file.ts";
import { timeOf } from "./time-form.ts";
import type { Claim } from "./types.ts";
import { watchTickets } from "./watch-tickets.ts";

/**
 * `waiting`: a person has not decided. `expired`: nobody did in time. `withdrawn`: whoever asked is gone. `stale`:
 * approved, but what it was about had changed by then. `used`: approved and begun; it can never be begun again.
 */
export const APPROVAL_STATUSES = ["waiting", "approved", "rejected", "expired", "withdrawn", "stale", "used"] as const;
export type ApprovalStatus = (typeof APPROVAL_STATUSES)[number];

/** One call that an operator wants to make, with everything that its approval is bound to. */
export interface Proposal {
  /** Incident, holder and attempt: an approval is worth nothing to another attempt. */
  readonly claim: Claim;
  readonly instance: InstanceId;
  readonly sessionId: string | null;
  readonly operator: string;
  readonly tool: string;
  /** JSON-able, as the tool parsed it. */
  readonly input: unknown;
  readonly effect: Exclude<Effect, "read">;
  /** The state that it was based on, as people are shown it; JSON-able. Its digest is what counts. */
  readonly state: unknown;
  readonly timeoutMs: number;
}

export interface Approval extends Omit<Proposal, "timeoutMs"> {
  readonly id: string;
  readonly status: ApprovalStatus;
  /** Of tool and input (`callDigest`), and of the state (`digestOf`). */
  readonly callDigest: string;
  readonly stateDigest: string;
  readonly requestedAt: EpochMs;
  /** How long is left to decide; 0 once decided or over. */
  readonly remainingMs: number;
  readonly decidedAt: EpochMs | null;
  /** Who: `cli:<user>`, `panel:<user>`; null = nobody. */
  readonly decidedBy: string | null;
  /** What the person said, e.g. why not. */
  readonly reason: string | null;
}

export interface Decision {
  readonly verdict: "approve" | "reject";
  readonly by: string;
  readonly reason?: string;
  /** Refuse to decide anything but exactly this call: what the person was shown. */
  readonly callDigest?: string;
}

export type UseOutcome = { readonly ok: true } | { readonly ok: false; readonly why: string };

/**
 * What waits for a person. Every method is one transaction but `wait`.
 *
 * All throw as `Tickets` does; those that name an approval throw `not-found` when there is none.
 */
export interface Approvals {
  request(proposal: Proposal): Promise<Approval>;
  /** @throws HarnessError `wrong-state` when it no longer waits, or is not the call that was shown. */
  decide(id: string, decision: Decision): Promise<Approval>;
  get(id: string): Promise<Approval>;
  /** Newest first. */
  list(filter?: ApprovalFilter): Promise<readonly Approval[]>;
  /** Resolves when it no longer waits: decided, expired, withdrawn. @throws the signal's reason; it is then withdrawn. */
  wait(id: string, signal: AbortSignal): Promise<Approval>;
  /**
   * Just before the act, by whoever asked: good once, for exactly this call, claim and state. A state that has changed
   * makes it `stale`.
   */
  use(
    id: string,
    now: { readonly claim: Claim; readonly callDigest: string; readonly state: unknown },
  ): Promise<UseOutcome>;
  /**
   * Just before the act, by a server that carries it out for the agent: the approval was begun by this claim and has
   * not been carried out yet, and `covers` says that what was asked of the server is what the person saw.
   */
  execute(id: string, claim: Claim, covers: (approval: Approval) => boolean): Promise<UseOutcome>;
  /** How long people were waited for on this instance since `since`, up to now; waiting counts only once at a time. */
  waitedMs(instance: InstanceId, since?: EpochMs): Promise<number>;
}

export interface ApprovalFilter {
  readonly status?: ApprovalStatus;
  readonly instance?: InstanceId;
  readonly batchKey?: string;
  readonly limit?: number;
}

/** The same for the same value, whatever the order of its keys. */
export function digestOf(value: unknown): string {
  return `sha256:${createHash("sha256").update(canonical(value)).digest("hex")}`;
}

/** What an approval is bound to. `reason` counts: the person read it. */
export function callDigest(tool: string, input: unknown): string {
  return digestOf({ tool, input: input ?? null });
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      inner !== null && typeof inner === "object" && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? "null"
  );
}

/** A claim that is still good: an approval for somebody who is gone would be carried out by nobody. */
const CLAIM_LIVES = `EXISTS (SELECT 1 FROM tickets t WHERE t.batch_key = a.batch_key AND t.holder = a.holder
  AND t.attempt = a.attempt AND t.status = 'acknowledged' AND t.lease_until_ms > @now)`;
/** The status as it is now: what only time or somebody's end has changed is not written until somebody acts on it. */
const CURRENT = `CASE WHEN a.status <> 'waiting' THEN a.status WHEN NOT ${CLAIM_LIVES} THEN 'withdrawn'
  WHEN a.expires_ms <= @now THEN 'expired' ELSE 'waiting' END`;
const SELECT = `SELECT a.*, ${CURRENT} AS current, MAX(0, a.expires_ms - @now) AS left_ms FROM approvals a`;

/** The proposals of operators that may not write alone, and people's answers: a side table of the ticket file. */
export class ApprovalDesk implements Approvals {
  readonly #file: TicketFile;
  readonly #deps: { readonly clock: Clock; readonly ids: Ids; readonly log: Log };

  constructor(file: TicketFile, deps: { readonly clock: Clock; readonly ids: Ids; readonly log: Log }) {
    this.#file = file;
    this.#deps = deps;
  }

  request(proposal: Proposal): Promise<Approval> {
    return this.#file.write((moment) => {
      const { claim, timeoutMs, input, state, ...rest } = proposal;
      const id = this.#deps.ids.hex(4);
      this.#file
        .sql(
          `INSERT INTO approvals (id, batch_key, holder, attempt, instance, session_id, operator, tool, input, effect,
             call_digest, state, state_digest, status, requested_at, requested_ms, expires_ms)
           VALUES (@id, @batchKey, @holder, @attempt, @instance, @sessionId, @operator, @tool, @input, @effect,
             @callDigest, @state, @stateDigest, 'waiting', @at, @now, @until)`,
        )
        .run({
          ...rest,
          id,
          batchKey: claim.batchKey,
          holder: claim.holder,
          attempt: claim.attempt,
          input: JSON.stringify(input ?? null),
          callDigest: callDigest(proposal.tool, input),
          state: JSON.stringify(state ?? null),
          stateDigest: digestOf(state ?? null),
          at: moment.text,
          now: moment.ms,
          until: moment.ms + timeoutMs,
        });
      return this.#one(id, moment);
    });
  }

  decide(id: string, { verdict, by, reason, callDigest: shown }: Decision): Promise<Approval> {
    return this.#file.write((moment) => {
      const known = this.#one(id, moment);
      if (known.status !== "waiting")
        throw new HarnessError("wrong-state", `${id} does not wait for an answer: ${explain(known)}`);
      if (shown !== undefined && shown !== known.callDigest)
        throw new HarnessError("wrong-state", `${id} is another call than the one that was shown; look again`);
      this.#end(id, verdict === "approve" ? "approved" : "rejected", moment, { by, reason: reason ?? null });
      return this.#one(id, moment);
    });
  }

  get(id: string): Promise<Approval> {
    return this.#file.read((moment) => this.#one(id, moment));
  }

  list({ status, instance, batchKey, limit = 100 }: ApprovalFilter = {}): Promise<readonly Approval[]> {
    return this.#file.read(({ ms }) =>
      this.#file
        .sql(
          `SELECT * FROM (${SELECT}) WHERE (@status IS NULL OR current = @status)
             AND (@instance IS NULL OR instance = @instance) AND (@batchKey IS NULL OR batch_key = @batchKey)
           ORDER BY requested_ms DESC, id LIMIT @limit`,
        )
        .all({ now: ms, status: status ?? null, instance: instance ?? null, batchKey: batchKey ?? null, limit })
        .map((row) => toApproval(row)),
    );
  }

  async wait(id: string, signal: AbortSignal): Promise<Approval> {
    const { clock, log } = this.#deps;
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    try {
      const first = await this.get(id);
      if (first.status !== "waiting") return await this.#settle(first);
      void clock.sleep(first.remainingMs, until).then(
        () => over.abort(new Error("nobody decided in time")),
        () => {},
      );
      for await (const _ of watchTickets(this.#file.path, { clock, log, signal: until })) {
        const now = await this.get(id);
        if (now.status !== "waiting") return await this.#settle(now);
      }
      if (signal.aborted) await this.#withdraw(id);
      signal.throwIfAborted();
      return await this.#settle(await this.get(id));
    } finally {
      over.abort();
    }
  }

  use(
    id: string,
    {
      claim,
      callDigest: digest,
      state,
    }: { readonly claim: Claim; readonly callDigest: string; readonly state: unknown },
  ): Promise<UseOutcome> {
    return this.#file.write((moment) => {
      const known = this.#one(id, moment);
      if (known.status !== "approved") return refusal(explain(known));
      if (!sameClaim(known.claim, claim)) return refusal("it was approved for another attempt");
      if (known.callDigest !== digest) return refusal("another call was approved");
      if (known.stateDigest !== digestOf(state ?? null)) {
        this.#file.sql("UPDATE approvals SET status = 'stale' WHERE id = ?").run(id);
        return refusal("the state that it was based on has changed since it was proposed");
      }
      this.#file.sql("UPDATE approvals SET status = 'used', used_ms = ? WHERE id = ?").run(moment.ms, id);
      return { ok: true };
    });
  }

  execute(id: string, claim: Claim, covers: (approval: Approval) => boolean): Promise<UseOutcome> {
    return this.#file.write((moment) => {
      const row = this.#file.sql("SELECT executed_ms FROM approvals WHERE id = ?").pluck().get(id) as
        number | null | undefined;
      if (row === undefined) return refusal(`there is no approval ${id}`);
      const known = this.#one(id, moment);
      if (known.status !== "used") return refusal(explain(known));
      if (row !== null) return refusal("it was used already");
      if (!sameClaim(known.claim, claim)) return refusal("it was approved for another attempt");
      if (!covers(known)) return refusal("another call was approved");
      this.#file.sql("UPDATE approvals SET executed_ms = ? WHERE id = ?").run(moment.ms, id);
      return { ok: true };
    });
  }

  waitedMs(instance: InstanceId, since = 0 as EpochMs): Promise<number> {
    return this.#file.read(({ ms }) => {
      const sum = this.#file
        .sql(
          `SELECT COALESCE(SUM(MIN(COALESCE(decided_ms, expires_ms), expires_ms, @now) - requested_ms), 0)
           FROM approvals WHERE instance = @instance AND requested_ms >= @since`,
        )
        .pluck()
        .get({ now: ms, instance, since });
      return sum as number;
    });
  }

  /** What time or somebody's end has decided is written down, with its moment. */
  #settle(approval: Approval): Promise<Approval> {
    const { id, status } = approval;
    if (status !== "expired" && status !== "withdrawn") return Promise.resolve(approval);
    return this.#file.write((moment) => {
      this.#end(id, status, moment, { by: null, reason: null });
      return this.#one(id, moment);
    });
  }

  async #withdraw(id: string): Promise<void> {
    await this.#file.write((moment) => this.#end(id, "withdrawn", moment, { by: null, reason: null }));
  }

  #end(
    id: string,
    status: ApprovalStatus,
    moment: Moment,
    { by, reason }: { readonly by: string | null; readonly reason: string | null },
  ): void {
    this.#file
      .sql(
        `UPDATE approvals SET status = @status, decided_at = @at, decided_ms = @now, decided_by = @by,
           decision_reason = @reason WHERE id = @id AND status = 'waiting'`,
      )
      .run({ id, status, by, reason, at: moment.text, now: moment.ms });
  }

  #one(id: string, { ms }: Moment): Approval {
    const row = this.#file.sql(`${SELECT} WHERE a.id = @id`).get({ id, now: ms });
    if (row === undefined)
      throw new HarnessError("not-found", `no approval ${id} in ${this.#file.path}; \`lab approve list\` shows them`);
    return toApproval(row);
  }
}

function refusal(why: string): UseOutcome {
  return { ok: false, why };
}

function sameClaim(a: Claim, b: Claim): boolean {
  return a.batchKey === b.batchKey && a.holder === b.holder && a.attempt === b.attempt;
}

function explain({ status, decidedBy, reason }: Approval): string {
  switch (status) {
    case "waiting":
      return "nobody has decided yet";
    case "approved":
      return `${decidedBy ?? "somebody"} approved it`;
    case "rejected":
      return `${decidedBy ?? "somebody"} rejected it${reason === null ? "" : `: ${reason}`}`;
    case "expired":
      return "nobody decided in time";
    case "withdrawn":
      return "whoever asked is gone";
    case "stale":
      return "the state that it was based on has changed since it was proposed";
    case "used":
      return "it was used already";
  }
}

const json = z.string().transform((text) => JSON.parse(text) as unknown);
const approvalRow = z.object({
  id: z.string(),
  current: z.enum(APPROVAL_STATUSES),
  batch_key: z.string(),
  holder: z.string(),
  attempt: z.number(),
  instance: z.string(),
  session_id: z.string().nullable(),
  operator: z.string(),
  tool: z.string(),
  input: json,
  effect: z.enum(["write", "destructive"]),
  call_digest: z.string(),
  state: json,
  state_digest: z.string(),
  requested_at: z.string(),
  left_ms: z.number(),
  decided_at: z.string().nullable(),
  decided_by: z.string().nullable(),
  decision_reason: z.string().nullable(),
});

function toApproval(row: unknown): Approval {
  const a = approvalRow.parse(row);
  return {
    id: a.id,
    status: a.current,
    claim: { batchKey: a.batch_key, holder: a.holder, attempt: a.attempt },
    instance: a.instance as InstanceId,
    sessionId: a.session_id,
    operator: a.operator,
    tool: a.tool,
    input: a.input,
    effect: a.effect,
    callDigest: a.call_digest,
    stateDigest: a.state_digest,
    state: a.state,
    requestedAt: timeOf(a.requested_at),
    remainingMs: a.current === "waiting" ? a.left_ms : 0,
    decidedAt: a.decided_at === null ? null : timeOf(a.decided_at),
    decidedBy: a.decided_by,
    reason: a.decision_reason,
  };
}
