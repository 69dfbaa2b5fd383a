import { errorText } from "../../base/errors.ts";
import type { Clock, EpochMs, Log } from "../../protocol.ts";
import { commandRequest, commandSpec, isCommand, type CommandName, type CommandReport } from "../contract.ts";
import { PLANES, type Plane } from "../planes.ts";
import type { Executor, QueuedCommand } from "../queue/command-queue.ts";
import { ApiError } from "./api-error.ts";
import { Bell } from "./bell.ts";
import { entryOf, rowOf, type AskedCommand, type CommandRunner } from "./command-runner.ts";
import { notBegun, notKnown, succeeded } from "./command-report.ts";
import { lookUp } from "./perform.ts";
import { checkMode } from "./permit.ts";

/** Begun later than this it is worth nothing to who asked. */
const QUEUED_FOR_MS = 10 * 60_000;

export interface QueueOptions {
  /** False = nobody here runs what is queued; all of it waits for pollers. */
  readonly workers: boolean;
  /** More of one plane are refused. */
  readonly most: number;
}

/** Commands that nobody waits for: kept on disk, run by slots of this server as they become free, or left to pollers. */
export class QueuedCommands {
  /** Rings when a command for pollers has come. */
  readonly arrived: Bell;
  readonly #runner: CommandRunner;
  readonly #options: QueueOptions;
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #taken = new Map<number, Promise<void>>();
  /** False once the table was seen to have nothing for us: it need not be asked after each command. */
  #mayWait = true;

  constructor(runner: CommandRunner, options: QueueOptions, deps: { readonly clock: Clock; readonly log: Log }) {
    this.#runner = runner;
    this.#options = options;
    this.#deps = deps;
    this.arrived = new Bell(deps.clock);
    runner.parts.slots.onFree = () => this.#pump();
  }

  get busy(): readonly Promise<unknown>[] {
    return [...this.#taken.values()];
  }

  depth(): { readonly server: number; readonly poller: number } {
    const { queue } = this.#runner.parts;
    return { server: queue.depth("server"), poller: queue.depth("poller") };
  }

  /** @throws ApiError `key-reused`, `rate-limited` when the queue is full, 403 as `execute`. */
  enqueue(asked: AskedCommand): QueuedCommand {
    const { parts } = this.#runner;
    const known = parts.queue.find(asked.plane, asked.idempotencyKey);
    if (known !== null) {
      if (known.bodyDigest === asked.digest) return known;
      throw new ApiError("key-reused", "this idempotency key has been used with another request");
    }
    checkMode(parts, asked);
    const executor: Executor = asked.request.executor ?? (this.#options.workers ? "server" : "poller");
    if (executor === "server" && !this.#options.workers)
      throw new ApiError("malformed", "this server runs no queued commands: the executor is a poller");
    if (parts.queue.depth(executor, asked.plane) >= this.#options.most)
      throw new ApiError("rate-limited", `${this.#options.most} commands of ${asked.plane} wait already`, {
        retry_after_ms: 1_000,
      });
    const row = parts.queue.add(rowOf(asked, executor, (this.#deps.clock.now() + QUEUED_FOR_MS) as EpochMs));
    if (executor === "server") {
      this.#mayWait = true;
      this.#pump();
    } else this.arrived.ring();
    return row;
  }

  /**
   * After a start: what an earlier one had begun. A declarative command is looked up, and asked for again when it had
   * no effect, nothing else happened since, and it still is wanted; everything else that is not known ends `unknown`.
   */
  async recover(): Promise<void> {
    const { queue, worker } = this.#runner.parts;
    for (const row of queue.leftRunning("server", worker)) {
      const asked = askedOf(row);
      const report =
        asked === null
          ? ofAnotherVersion(row, this.#deps.clock)
          : await this.#lookedUp(row, asked).catch((error: unknown) => this.#unclear(asked, error));
      queue.finish(row.seq, report);
      this.#deps.log.warn("control.recovered", { command_id: row.commandId, name: row.name, status: report.status });
    }
    this.#pump();
  }

  async #lookedUp(row: QueuedCommand, asked: AskedCommand): Promise<CommandReport> {
    const { engine, life, audit } = this.#runner.parts;
    const what = this.#runner.reported(asked);
    const why = "the server ended in its middle and nobody can say whether it took";
    if (!commandSpec(asked.name).declarative || row.intentAt === null) return notKnown(what, why);
    const params = asked.params as { readonly component: never };
    const found = await lookUp(asked.name, params, row.intentAt, engine, life);
    if (found === "so") {
      await audit.event("command-looked-up", {
        command: asked.name,
        commandId: asked.commandId,
        found: "as asked for",
      });
      return succeeded(what, { data: { looked_up: true } }, 0);
    }
    if (found === "unclear" || this.#deps.clock.now() > row.expiresAt) return notKnown(what, why);
    try {
      // Its row is what makes it begin once more at most: this start is its worker now.
      // Nothing else runs yet.
      using _ = this.#runner.tryEnter(asked, 0);
      return await this.#runner.carryOut(again(asked), () => this.#adopt(row), life);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return notBegun(what, `it had no effect, and was not asked for again: ${error.message}`, error.code);
    }
  }

  #adopt(row: QueuedCommand): number {
    this.#runner.parts.queue.adopt(row.seq, this.#runner.parts.worker);
    return row.seq;
  }

  #unclear(asked: AskedCommand, error: unknown): CommandReport {
    return notKnown(this.#runner.reported(asked), `the server ended in its middle, and then: ${errorText(error)}`);
  }

  /** One after the other of each plane in turn, so that the one's long queue does not stand before the other. */
  #pump(): void {
    const { life } = this.#runner.parts;
    if (!this.#options.workers || !this.#mayWait || life.aborted) return;
    const turns = [...PLANES];
    while (turns.length > 0) {
      const plane = turns.shift() as Plane;
      if (this.#take(plane)) turns.push(plane);
    }
    this.#mayWait = this.depth().server > 0;
  }

  /** Begins the oldest of a plane whose container is free. False = there is none, or no slot for it. */
  #take(plane: Plane): boolean {
    const { queue } = this.#runner.parts;
    const { locked } = this.#runner;
    const row = queue.next("server", plane, { seqs: [...this.#taken.keys()], components: locked });
    if (row === null) return false;
    const asked = askedOf(row);
    if (asked === null) {
      queue.finish(row.seq, ofAnotherVersion(row, this.#deps.clock));
      return true;
    }
    const place = this.#runner.tryEnter(asked, queue.depth("server"));
    if (place === null) return false;
    const run = this.#run(row, asked)
      .then(
        () => void this.#taken.delete(row.seq),
        // It stays taken: whatever cannot be run or even ended now would be tried again without a pause.
        (error: unknown) => {
          if (!this.#runner.parts.life.aborted) this.#deps.log.error("control.queue-failed", { why: errorText(error) });
        },
      )
      .finally(() => place[Symbol.dispose]());
    this.#taken.set(row.seq, run);
    return true;
  }

  async #run(row: QueuedCommand, asked: AskedCommand): Promise<void> {
    const { queue, worker, life, metrics } = this.#runner.parts;
    const what = this.#runner.reported(asked);
    try {
      if (this.#deps.clock.now() > row.expiresAt) throw new ApiError("rate-limited", "it was not begun in time");
      await this.#runner.carryOut(asked, (auditSeq) => this.#begin(row.seq, worker, auditSeq), life);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      queue.finish(row.seq, notBegun(what, error.message, error.code));
      metrics.refused(asked.plane, asked.name);
      await this.#runner.refused(entryOf(asked), error);
    }
  }

  #begin(seq: number, worker: string, auditSeq: number): number {
    if (!this.#runner.parts.queue.markRunning(seq, worker, auditSeq)) throw new Error("it was begun by somebody else");
    return seq;
  }
}

/** Its approval was spent when it was begun; the lease is still looked at. */
function again(asked: AskedCommand): AskedCommand {
  return { ...asked, approvalSpent: true };
}

/** The end of a row that `askedOf` cannot read: nobody here can say what it means. */
export function ofAnotherVersion(row: QueuedCommand, clock: Pick<Clock, "now">): CommandReport {
  const { commandId, name, plane, state } = row;
  const what = { commandId, name: name as CommandName, params: {}, executedBy: plane, clock };
  const why = `this version knows no such command: ${name}`;
  return state === "running" ? notKnown(what, why) : notBegun(what, why, "unknown-command");
}

/** A row as it was asked; null = written by a version that knew other commands. */
export function askedOf(row: QueuedCommand): AskedCommand | null {
  const request = commandRequest.safeParse(row.request);
  if (!request.success || !isCommand(row.name)) return null;
  const spec = commandSpec(row.name);
  const params = spec.params.safeParse(request.data.params);
  if (!params.success) return null;
  return {
    plane: row.plane,
    caller: row.caller,
    idempotencyKey: row.idempotencyKey,
    digest: row.bodyDigest,
    commandId: row.commandId,
    name: row.name,
    params: params.data,
    effect: spec.effect(params.data),
    request: request.data,
  };
}
