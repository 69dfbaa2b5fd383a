import { watch } from "node:fs";
import { basename, dirname } from "node:path";
import Sqlite from "better-sqlite3";
import type { Clock } from "../harness/base/clock.ts";
import type { Log } from "../harness/base/log.ts";
import { fileError, isBusy } from "./file-errors.ts";

export interface WatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The WAL's own event comes before its commit can be seen; these are when to look again, after the event. */
const RECHECK_MS = [3, 15, 60];
/** Leases end without a write, and some file systems send no events: nobody waits longer than this. */
const POLL_MS = 5_000;

/**
 * Yields once at the start, then whenever tickets were opened or changed status or hold (a burst counts once), and at
 * least every 5 s, because leases end without any write. Ends when the signal aborts. The file must exist.
 */
export async function* watchTickets(
  path: string,
  { clock, log, signal }: WatchOptions,
): AsyncGenerator<"start" | "change" | "poll"> {
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  using probe = new Probe(path);
  const bell = new Bell();
  try {
    if (until.aborted) return;
    probe.changed();
    watchFolder(path, { clock, log, signal: until }, () => {
      if (probe.changed()) bell.ring();
    });
    yield "start";
    while (!until.aborted) {
      const rung = await bell.next(clock, POLL_MS, until);
      if (until.aborted) return;
      yield rung ? "change" : "poll";
    }
  } finally {
    stop.abort();
  }
}

/** One pending ring at most, so that a slow consumer looks once after a burst. */
class Bell {
  #pending = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#pending = true;
    this.#wake?.();
  }

  /** True when rung, false after `ms` or abort. */
  async next(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#pending) {
      const enough = new AbortController();
      const rung = new Promise<void>((resolve) => (this.#wake = resolve));
      const slept = clock.sleep(ms, AbortSignal.any([signal, enough.signal])).catch(() => {});
      await Promise.race([rung, slept]);
      this.#wake = null;
      enough.abort();
    }
    const result = this.#pending;
    this.#pending = false;
    return result;
  }
}

/** Has anything that readers wait for been committed since the last look? Two cheap reads, no transaction. */
class Probe implements Disposable {
  readonly #db: Sqlite.Database;
  readonly #path: string;
  readonly #version: Sqlite.Statement<[], number>;
  readonly #generation: Sqlite.Statement<[], number>;
  #seenVersion = -1;
  #seenGeneration = -1;

  constructor(path: string) {
    try {
      this.#path = path;
      this.#db = new Sqlite(path, { fileMustExist: true, timeout: 0 });
      this.#version = this.#db.prepare<[], number>("PRAGMA data_version").pluck();
      this.#generation = this.#db.prepare<[], number>("SELECT generation FROM ticket_file").pluck();
    } catch (error) {
      throw fileError(error, path);
    }
  }

  changed(): boolean {
    try {
      const version = this.#version.get() ?? 0;
      if (version === this.#seenVersion) return false;
      this.#seenVersion = version;
      const generation = this.#generation.get() ?? 0;
      if (generation === this.#seenGeneration) return false;
      this.#seenGeneration = generation;
      return true;
    } catch (error) {
      // Not known is a reason to look.
      if (isBusy(error)) return true;
      throw fileError(error, this.#path);
    }
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** Calls `look` when a writer of ours touched the wake file, and some times after any other event of the file. */
function watchFolder(path: string, { clock, log, signal }: WatchOptions, look: () => void): void {
  const name = basename(path);
  const others = new Set([name, `${name}-wal`, `${name}-journal`]);
  let rechecking = false;
  const lookLater = async () => {
    if (rechecking) return;
    rechecking = true;
    let waited = 0;
    for (const at of RECHECK_MS) {
      await clock.sleep(at - waited, signal);
      waited = at;
      // An event during the last wait starts a new round, so that a commit right after it is not missed.
      if (at === RECHECK_MS.at(-1)) rechecking = false;
      look();
    }
  };
  const guarded = (task: () => void | Promise<void>) =>
    void Promise.resolve()
      .then(task)
      .catch((error: unknown) => {
        rechecking = false;
        if (!signal.aborted) log.warn("tickets.watch-failed", { path, error: String(error) });
      });
  try {
    watch(dirname(path), { signal }, (_event, file) => {
      if (file === `${name}-wake`) guarded(look);
      else if (file !== null && others.has(file)) guarded(lookLater);
    }).on("error", (error) => log.warn("tickets.watch-failed", { path, error: String(error) }));
  } catch (error) {
    // No inotify watches left, or a file system without them: the poll remains.
    log.warn("tickets.watch-failed", { path, error: String(error) });
  }
}
