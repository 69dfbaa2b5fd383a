import type { Clock, EpochMs } from "../../protocol.ts";
import type { CommandReport, ReportRequest } from "../contract.ts";
import { commandSpec } from "../contract.ts";
import type { Plane } from "../planes.ts";
import type { QueuedCommand } from "../queue/command-queue.ts";
import { ApiError } from "./api-error.ts";
import { notBegun, notKnown } from "./command-report.ts";
import { entryOf, type AskedCommand, type CommandRunner } from "./command-runner.ts";
import { checkClaim } from "./permit.ts";
import { askedOf, ofAnotherVersion, type QueuedCommands } from "./queued-commands.ts";

/** Beyond its own time-out a command that a poller took is given up as `unknown`. */
const REPORT_WITHIN_MS = 60_000;

/**
 * Programs that fetch commands and say what came of them. Handing one out is its intent: who took it may have done it,
 * so it is never handed out again.
 */
export class Pollers {
  readonly #runner: CommandRunner;
  readonly #queued: QueuedCommands;
  readonly #clock: Clock;
  /** Being handed out: their intent is on its way to the audit. */
  readonly #handing = new Set<number>();

  constructor(runner: CommandRunner, queued: QueuedCommands, clock: Clock) {
    this.#runner = runner;
    this.#queued = queued;
    this.#clock = clock;
  }

  /** The oldest command of this plane that waits for a poller; null after `waitMs`, or when the caller is gone. */
  async next(plane: Plane, caller: string, waitMs: number, signal: AbortSignal): Promise<QueuedCommand | null> {
    const { queue, life } = this.#runner.parts;
    const until = AbortSignal.any([signal, life]);
    const deadline = this.#clock.monotonic() + waitMs;
    for (;;) {
      const rung = this.#queued.arrived.rung;
      await this.giveUp();
      const row = until.aborted ? null : queue.next("poller", plane, { seqs: [...this.#handing] });
      if (row !== null) {
        if (await this.#handOut(row, caller)) return row;
        continue;
      }
      const leftMs = deadline - this.#clock.monotonic();
      if (leftMs <= 0 || until.aborted) return null;
      await this.#queued.arrived.wait(rung, leftMs, until);
    }
  }

  /** @throws ApiError `not-found` for what this caller did not take or has reported. */
  async report(plane: Plane, caller: string, said: ReportRequest): Promise<void> {
    const { queue, counts, metrics } = this.#runner.parts;
    const row = queue.byId(plane, said.command_id);
    if (row === null || row.state !== "running" || row.executor !== "poller" || row.worker !== caller)
      throw new ApiError("not-found", `${said.command_id} was not handed to ${caller}, or has been reported`);
    const asked = askedOf(row);
    const report: CommandReport = {
      command_id: row.commandId,
      status: said.status,
      result: {
        operation: row.name,
        container: (asked?.params as { readonly component?: string } | undefined)?.component ?? null,
        duration_secs: (this.#clock.now() - (row.intentAt ?? row.enqueuedAt)) / 1_000,
        exit_code: said.status === "success" ? 0 : 1,
        stdout: "",
        data: said.result ?? null,
      },
      error: said.error ?? null,
      error_code: said.error_code ?? null,
      completed_at: said.completed_at,
      executed_by: plane,
    };
    queue.finish(row.seq, report);
    counts.ran(plane);
    metrics.command(plane, row.name, said.status, report.result?.duration_secs ?? 0);
    if (asked !== null) await this.#close(row, asked, report);
  }

  /** Ends what pollers took and never reported. */
  async giveUp(): Promise<void> {
    const { queue } = this.#runner.parts;
    for (const row of queue.overdue((this.#clock.now() - REPORT_WITHIN_MS) as EpochMs)) {
      const asked = askedOf(row);
      if (asked === null) {
        queue.finish(row.seq, ofAnotherVersion(row, this.#clock));
        continue;
      }
      const allowedMs = commandSpec(asked.name).timeoutMs(asked.params) + REPORT_WITHIN_MS;
      if ((row.intentAt ?? 0) + allowedMs > this.#clock.now()) continue;
      const report = notKnown(this.#runner.reported(asked), `${row.worker ?? "a poller"} took it and never reported`);
      queue.finish(row.seq, report);
      await this.#close(row, asked, report);
    }
  }

  async #handOut(row: QueuedCommand, caller: string): Promise<boolean> {
    const { queue, audit } = this.#runner.parts;
    const asked = askedOf(row);
    if (asked === null) {
      queue.finish(row.seq, ofAnotherVersion(row, this.#clock));
      return false;
    }
    this.#handing.add(row.seq);
    try {
      if (!(await this.#mayBegin(row, asked))) return false;
      const handle = await audit.intent(entryOf(asked)).catch(() => {
        throw new ApiError("audit-failed", "the audit cannot be written: no command runs until it can");
      });
      return queue.markRunning(row.seq, caller, handle.seq);
    } finally {
      this.#handing.delete(row.seq);
    }
  }

  /** As for what the server runs itself: who asked may have lost the incident meanwhile, or it waited too long. */
  async #mayBegin(row: QueuedCommand, asked: AskedCommand): Promise<boolean> {
    const { queue, metrics } = this.#runner.parts;
    try {
      if (this.#clock.now() > row.expiresAt) throw new ApiError("rate-limited", "it was not begun in time");
      await checkClaim(this.#runner.parts, asked);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      queue.finish(row.seq, notBegun(this.#runner.reported(asked), error.message, error.code));
      metrics.refused(asked.plane, asked.name);
      await this.#runner.refused(entryOf(asked), error);
      return false;
    }
  }

  async #close(row: QueuedCommand, asked: AskedCommand, report: CommandReport): Promise<void> {
    if (row.auditSeq !== null) await this.#runner.outcome({ seq: row.auditSeq, entry: entryOf(asked) }, report);
  }
}
