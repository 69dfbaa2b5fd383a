import Sqlite from "better-sqlite3";
import { HarnessError, type ErrorCode } from "../harness/base/errors.ts";

/** Another writer or reader is in the way for now; everything else will not pass by waiting. */
export function isBusy(error: unknown): boolean {
  return error instanceof Sqlite.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code);
}

/** What SQLite or the file system said, as one sentence with what to do. Errors of ours pass unchanged. */
export function fileError(error: unknown, path: string): unknown {
  if (error instanceof HarnessError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== "string") return error;
  const found = ADVICE.find(([pattern]) => pattern.test(code));
  if (found === undefined) return error;
  const [, as, advice] = found;
  return new HarnessError(as, `${path}: ${advice} (${code})`, { cause: error, details: { path, sqlite: code } });
}

const ADVICE: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [
    /^SQLITE_(BUSY|LOCKED)/,
    "tickets-locked",
    "another program keeps the ticket file locked; end it, or try again when it is done",
  ],
  [
    /^(SQLITE_FULL|SQLITE_IOERR_SHMSIZE|ENOSPC|EDQUOT)/,
    "tickets-full",
    "no room left on the disk; nothing was changed. Free some and try again",
  ],
  [
    /^(SQLITE_READONLY|SQLITE_CANTOPEN|SQLITE_PERM|SQLITE_AUTH|EACCES|EPERM|EROFS|ENOENT|ENOTDIR|EISDIR)/,
    "tickets-readonly",
    "the ticket file or its folder cannot be written by this user; check its owner and mode, or name another with --db",
  ],
  [/^(SQLITE_CORRUPT|SQLITE_NOTADB)/, "tickets-corrupt", "the ticket file is damaged"],
];
