import { withDeadline } from "../../base/deadline.ts";
import { errorText, HarnessError } from "../../base/errors.ts";
import type { Clock, Effect, EpochMs, Log } from "../../protocol.ts";
import type { AuditEntry, AuditHandle, AuditTrail } from "../audit/types.ts";
import { commandSpec, type CommandName, type CommandReport, type CommandRequest } from "../contract.ts";
import type { Plane } from "../planes.ts";
import type { CommandQueue, NewCommand, QueuedCommand } from "../queue/command-queue.ts";
import type { WorkerSlots } from "../queue/worker-slots.ts";
import { ApiError } from "./api-error.ts";
import type { CommandCounts } from "./command-counts.ts";
import { CommandEnds } from "./command-ends.ts";
import { failed, plainText, succeeded, targetOf, type Reported } from "./command-report.ts";
import type { EventHub } from "./event-hub.ts";
import { KeyedLock } from "./keyed-lock.ts";
import type { ControlMetrics } from "./metrics.ts";
import { perform, type PerformContext } from "./perform.ts";
import { checkClaim, type PermitOptions } from "./permit.ts";
import { RecentAnswers } from "./recent-answers.ts";

/** Everything that a command passes through. */
export interface RunnerParts extends PermitOptions, PerformContext {
  readonly audit: AuditTrail;
  readonly queue: CommandQueue;
  readonly slots: WorkerSlots;
  readonly counts: CommandCounts;
  readonly metrics: ControlMetrics;
  readonly hub: EventHub;
  /** Names this start: what an earlier one left running is not ours. */
  readonly worker: string;
  readonly executedBy: Plane;
  /** Aborts when the server ends. */
  readonly life: AbortSignal;
}

/** A command that may be carried out as far as its caller's scopes go. */
export interface AskedCommand {
  readonly plane: Plane;
  readonly caller: string;
  readonly idempotencyKey: string;
  /** Of endpoint and body: the same key with another is refused. */
  readonly digest: string;
  readonly commandId: string;
  readonly name: CommandName;
  readonly params: unknown;
  readonly effect: Effect;
  readonly request: CommandRequest;
  /** Begun before and asked for again: a person's approval of it has been used by the first time. */
  readonly approvalSpent?: boolean;
}

/** How long a command may wait in line before it is begun. */
export const LINE_MS = 30_000;

interface Going {
  readonly digest: string;
  readonly report: Promise<CommandReport>;
}

/** Who asked for a read has hung up in its middle. */
class CallerGone extends ApiError {
  constructor() {
    super("unavailable", "the caller is gone");
  }
}

/** The audit has its intent and its end already. */
class RefusedAfterIntent extends ApiError {}

/** Puts the intent on disk and says which row it is; null = a read, which leaves none. */
type Begin = (auditSeq: number) => number | null;

/**
 * Carries commands out: one answer per idempotency key, one write at a time per container, and for each two lines in
 * the audit and (unless it only looks) an intent in the queue before the act.
 */
export class CommandRunner {
  readonly parts: RunnerParts;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #locks = new KeyedLock();
  readonly #ends: CommandEnds;
  readonly #going = new Map<string, Going>();
  readonly #recent: RecentAnswers;

  constructor(parts: RunnerParts, deps: { readonly clock: Clock; readonly log: Log }) {
    this.parts = parts;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#recent = new RecentAnswers(deps.clock);
    this.#ends = new CommandEnds(parts.queue, deps.log);
    this.#locks.onFree = () => parts.slots.onFree();
  }

  /** How many commands are being carried out for callers who wait. */
  get going(): readonly Promise<unknown>[] {
    return [...this.#going.values()].map(({ report }) => report);
  }

  /** @param signal aborts when the caller is gone: reads end, writes go on. @throws ApiError */
  async execute(asked: AskedCommand, signal: AbortSignal): Promise<CommandReport> {
    const key = `${asked.plane}/${asked.idempotencyKey}`;
    for (;;) {
      const known = this.#answered(asked) ?? this.#recent.get(key);
      if (known !== null) return sameBody(known, asked).report;
      const going = this.#going.get(key);
      if (going === undefined) return await this.#executeFirst(key, asked, signal);
      try {
        return await sameBody(going, asked).report;
      } catch (error) {
        // Who sent it first has hung up in its middle; that is no answer to who sends it again.
        if (!(error instanceof CallerGone) || signal.aborted) throw error;
      }
    }
  }

  async #executeFirst(key: string, asked: AskedCommand, signal: AbortSignal): Promise<CommandReport> {
    const reads = asked.effect === "read";
    const until = reads ? AbortSignal.any([signal, this.parts.life]) : this.parts.life;
    const report = this.#first(asked, until).then(
      (answer) => {
        if (reads && signal.aborted && answer.status !== "success") throw new CallerGone();
        return answer;
      },
      (error: unknown) => {
        throw reads && signal.aborted ? new CallerGone() : error;
      },
    );
    this.#going.set(key, { digest: asked.digest, report });
    try {
      const answer = await report;
      if (reads) this.#recent.keep(key, asked.digest, answer);
      return answer;
    } finally {
      this.#going.delete(key);
    }
  }

  /** What is on disk of this key; null = nothing, or it still waits in the queue. */
  #answered({ plane, idempotencyKey }: AskedCommand): Going | { digest: string; report: CommandReport } | null {
    const row = this.parts.queue.find(plane, idempotencyKey);
    if (row === null) return null;
    const ended = this.reportOf(row);
    if (ended !== null) return { digest: row.bodyDigest, report: ended };
    // Under another transmission of this very start, or left to the queue under the same key.
    const going = this.#going.get(`${plane}/${idempotencyKey}`);
    if (going !== undefined) return { digest: row.bodyDigest, report: going.report };
    throw new ApiError("key-reused", "this key belongs to a command that waits in the queue");
  }

  async #first(asked: AskedCommand, signal: AbortSignal): Promise<CommandReport> {
    using _ = this.tryEnter(asked, 0) ?? (await this.#inLine(asked, signal));
    const { queue, worker } = this.parts;
    const expiresAt = (this.#clock.now() + LINE_MS + commandSpec(asked.name).timeoutMs(asked.params)) as EpochMs;
    const begin: Begin = (auditSeq) =>
      asked.effect === "read" ? null : queue.begin(rowOf(asked, "server", expiresAt), worker, auditSeq).seq;
    return await this.carryOut(asked, begin, signal);
  }

  /** Containers to which something is being done; what else is to be done to them waits. */
  get locked(): readonly string[] {
    return this.#locks.held;
  }

  /** What `carryOut` needs, if it is to be had now: the container for itself, unless it only looks, and a slot. */
  tryEnter(asked: AskedCommand, queued: number): Disposable | null {
    // Looked at before the slot is taken: giving one back makes others try.
    if (asked.effect !== "read" && this.#locks.isHeld(lockOf(asked))) return null;
    const slot = this.parts.slots.tryAcquire(asked.plane, queued);
    if (slot === null) return null;
    return both(asked.effect === "read" ? NO_LOCK : this.#locks.tryAcquire(lockOf(asked)), slot);
  }

  /** The container before the slot: who waits for a busy container keeps nobody from the others. */
  async #inLine(asked: AskedCommand, signal: AbortSignal): Promise<Disposable> {
    let lock: Disposable | null = asked.effect === "read" ? NO_LOCK : null;
    try {
      const slot = await withDeadline(this.#clock, { ms: LINE_MS, what: "a turn", signal }, async (inner) => {
        lock ??= await this.#locks.acquire(lockOf(asked), inner);
        return await this.parts.slots.acquire(asked.plane, inner);
      });
      return both(lock, slot);
    } catch (error) {
      const why =
        lock === null
          ? `something else is being done to ${lockOf(asked)}`
          : `too many commands of ${asked.plane} at once`;
      (lock as Disposable | null)?.[Symbol.dispose]();
      if (error instanceof HarnessError && error.code === "timeout")
        throw new ApiError("rate-limited", why, { retry_after_ms: 1_000 });
      throw error;
    }
  }

  /**
   * One command, once it has been let in (`tryEnter`). @throws ApiError for what is refused before the act; whatever
   * the act throws is in the report.
   */
  async carryOut(asked: AskedCommand, begin: Begin, signal: AbortSignal): Promise<CommandReport> {
    const { audit, counts, hub } = this.parts;
    const target = targetOf(asked.params);
    signal.throwIfAborted();
    if (asked.effect !== "read") this.#ends.settle();
    await checkClaim(this.parts, asked);
    const handle = await this.#intent(audit, entryOf(asked));
    const seq = await this.#begun(handle, begin);
    counts.ran(asked.plane);
    const facts = { command_id: asked.commandId, name: asked.name, target, plane: asked.plane, effect: asked.effect };
    if (asked.effect !== "read") hub.publish("command", { ...facts, status: "running", at: this.#clock.now() });
    const report = await this.act(asked, signal);
    if (seq !== null) this.#ends.put(seq, report);
    await this.outcome(handle, report);
    if (asked.effect !== "read")
      hub.publish("command", { ...facts, status: report.status, error: report.error, at: this.#clock.now() });
    return report;
  }

  /** Ends that the disk has not taken yet; while there are any, nothing but reads is begun. */
  get owed(): number {
    return this.#ends.owed;
  }

  /** What came of a command that is on disk; null = it is not over. */
  reportOf(row: QueuedCommand): CommandReport | null {
    return row.report ?? this.#ends.of(row.seq);
  }

  /** The intent in the queue. Where there can be none nothing runs, and the audit's intent gets its end. */
  async #begun(handle: AuditHandle, begin: Begin): Promise<number | null> {
    try {
      return begin(handle.seq);
    } catch (failure) {
      const taken = (failure as { readonly code?: unknown }).code === "SQLITE_CONSTRAINT_UNIQUE";
      if (!taken) this.#log.error("control.queue-failed", { why: errorText(failure) });
      const refusal = taken
        ? new RefusedAfterIntent("key-reused", "this idempotency key was used by another request at the same time")
        : new RefusedAfterIntent("unavailable", "the queue cannot be written: nothing was done");
      const { code, message: why } = refusal;
      await this.parts.audit
        .outcome(handle, { verdict: "refused", code, why })
        .catch((error: unknown) => this.#log.error("control.audit-failed", { why: errorText(error) }));
      throw refusal;
    }
  }

  /** The act alone. Never throws. */
  async act(asked: AskedCommand, signal: AbortSignal): Promise<CommandReport> {
    const { name, params, effect } = asked;
    const began = this.#clock.monotonic();
    const what = this.reported(asked);
    const limit = { ms: commandSpec(name).timeoutMs(params), what: `${name} ${targetOf(params) ?? ""}`.trim(), signal };
    let report: CommandReport;
    try {
      const performed = await withDeadline(this.#clock, limit, (inner) =>
        orAbandoned(this.#clock, inner, perform(name, params, this.parts, inner)),
      );
      report = succeeded(what, performed, this.#clock.monotonic() - began);
    } catch (error) {
      if (!(error instanceof HarnessError) && !signal.aborted && !(error instanceof ApiError))
        this.#log.error("control.command-failed", { name, why: errorText(error) });
      const told = asked.plane === "status_panel" ? errorText(error) : plainText(error);
      if (told !== errorText(error)) this.#log.warn("control.engine-failed", { name, why: errorText(error) });
      report = failed(what, error, effect, this.#clock.monotonic() - began, told);
    }
    const seconds = (this.#clock.monotonic() - began) / 1_000;
    this.parts.metrics.command(asked.plane, name, report.status, seconds);
    return report;
  }

  reported({ commandId, name, params }: Pick<AskedCommand, "commandId" | "name" | "params">): Reported {
    return { commandId, name, params, executedBy: this.parts.executedBy, clock: this.#clock };
  }

  /** Both lines of a command that is not carried out. Its refusal stands even when they cannot be written. */
  async refused(asked: AuditEntry, error: ApiError): Promise<void> {
    if (error instanceof RefusedAfterIntent) return;
    try {
      await this.parts.audit.refused(asked, { code: error.code, why: error.message });
    } catch (failure) {
      this.#log.error("control.audit-failed", { why: errorText(failure) });
    }
  }

  /** The act has been: what cannot be written now is owed, and the trail takes no further intent before it is. */
  async outcome(handle: AuditHandle, { status, error, error_code: code }: CommandReport): Promise<void> {
    const verdict = status === "success" ? "ok" : status === "unknown" ? "unknown" : "failed";
    try {
      await this.parts.audit.outcome(handle, { verdict, code, ...(error === null ? {} : { why: error }) });
    } catch (failure) {
      this.#log.error("control.audit-failed", { why: errorText(failure) });
    }
  }

  async #intent(audit: AuditTrail, entry: AuditEntry): Promise<AuditHandle> {
    try {
      return await audit.intent(entry);
    } catch (failure) {
      this.#log.error("control.audit-failed", { why: errorText(failure) });
      throw new ApiError("audit-failed", "the audit cannot be written: no command runs until it can");
    }
  }
}

/** What does not end soon after it was told to is left behind: an engine that hangs must not keep slot and container. */
const HEED_MS = 3_000;

async function orAbandoned<T>(clock: Clock, signal: AbortSignal, act: Promise<T>): Promise<T> {
  const done = new AbortController();
  const abandoned = Promise.withResolvers<never>();
  const late = (): void =>
    void clock.sleep(HEED_MS, done.signal).then(
      () => abandoned.reject(signal.reason as Error),
      () => undefined,
    );
  signal.addEventListener("abort", late, { once: true });
  try {
    return await Promise.race([act, abandoned.promise]);
  } finally {
    signal.removeEventListener("abort", late);
    done.abort("it is over");
  }
}

const NO_LOCK: Disposable = { [Symbol.dispose]: () => undefined };

/** In reverse: the slot first. */
function both(lock: Disposable | null, slot: Disposable): Disposable {
  return {
    [Symbol.dispose]: () => {
      slot[Symbol.dispose]();
      lock?.[Symbol.dispose]();
    },
  };
}

const lockOf = ({ params }: AskedCommand): string => targetOf(params) ?? "";

export function rowOf(asked: AskedCommand, executor: "server" | "poller", expiresAt: EpochMs): NewCommand {
  const { plane, caller, idempotencyKey, digest, commandId, name, params, request } = asked;
  return {
    plane,
    caller,
    idempotencyKey,
    bodyDigest: digest,
    commandId,
    name,
    request: { ...request, params },
    executor,
    expiresAt,
  };
}

export function entryOf(asked: Omit<AskedCommand, "digest" | "idempotencyKey">): AuditEntry {
  const { plane, caller, name, params, effect, request, commandId } = asked;
  return {
    plane,
    caller,
    command: name,
    target: targetOf(params),
    effect,
    incident: request.fence?.incident ?? null,
    commandId,
    params: {
      ...(params as object),
      ...(request.reason === undefined ? {} : { reason: request.reason }),
      ...(request.approval == null ? {} : { approval: request.approval.id }),
    },
  };
}

function sameBody<T extends { readonly digest: string }>(known: T, { digest }: AskedCommand): T {
  if (known.digest !== digest)
    throw new ApiError("key-reused", "this idempotency key has been used with another request");
  return known;
}
