import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import { isoTime, type Clock, type EpochMs } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { Ids } from "../../base/ids.ts";
import { makeFolder } from "../../base/make-folder.ts";
import { takeLock } from "../../engine/locks.ts";
import type { Plane } from "../planes.ts";
import { entryData, parseEntry } from "./entry.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { TokenError, type StoredToken, type TokenProvider } from "./types.ts";

const FILE = "token.json";
const MOST_BYTES = 256 * 1024;
/** Whoever else is rotating needs a few milliseconds. */
const LOCK_TRIES = 200;

/**
 * Tokens as files: `<folder>/<plane>/token.json` with mode 0600 in a directory of its own. A container mounts the
 * directory of its plane: a file mounted alone would go on showing what was there before a rotation, since that puts
 * a new file in its place.
 *
 * What others could read or replace is refused, as ssh does with keys. Writers take a lock beside the file; readers
 * need none.
 */
export function fileTokens(folder: string, deps: { readonly clock: Clock; readonly ids: Ids }): TokenProvider {
  const root = resolve(folder);
  const dirOf = (plane: Plane): string => join(root, plane);
  return {
    name: `files ${root}`,
    rereadEveryMs: 0,
    fetch: (plane, signal) => attempt(signal, () => readEntry(dirOf(plane), plane, deps.clock.now())),
    async store(plane, entry, expected, signal) {
      const dir = dirOf(plane);
      await locked(dir, deps.clock, signal, () => {
        const there = readEntry(dir, plane, deps.clock.now());
        if ((there?.version ?? null) !== expected)
          throw new TokenError("changed", `${join(dir, FILE)} was changed meanwhile; try again`);
        replaceFile(dir, `${JSON.stringify(entryData(entry), null, 2)}\n`, deps.ids.hex(4));
      });
    },
    async remove(plane, signal) {
      const dir = dirOf(plane);
      await locked(dir, deps.clock, signal, () => {
        rmSync(join(dir, FILE), { force: true });
        syncFolder(dir);
      });
    },
  };
}

function readEntry(dir: string, plane: Plane, seenAt: EpochMs): StoredToken | null {
  const path = join(dir, FILE);
  let text: string;
  try {
    checkMode(dir, constants.O_RDONLY | constants.O_DIRECTORY, 0o022);
    text = readPrivate(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  return { ...parseEntry(json(text, path), { plane, where: path, seenAt }), version: fingerprintOf(text) };
}

function json(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not the parser's message: it quotes what it could not read.
    throw new TokenError("malformed", `${path} is not JSON`);
  }
}

function readPrivate(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, size } = fstatSync(file);
    const kind = mode & constants.S_IFMT;
    if (kind !== constants.S_IFREG) throw new TokenError("permissions", `${path} is not a plain file`);
    refuseWider(path, mode, 0o077, "600");
    if (size > MOST_BYTES) throw new TokenError("malformed", `${path} is too large for a token`);
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** Whoever may write to the directory can put a file of theirs in our file's place. */
function checkMode(dir: string, flags: number, refused: number): void {
  const folder = openSync(dir, flags);
  try {
    refuseWider(dir, fstatSync(folder).mode, refused, "700");
  } finally {
    closeSync(folder);
  }
}

function refuseWider(path: string, mode: number, refused: number, wanted: string): void {
  if ((mode & refused) === 0) return;
  const octal = (mode & 0o777).toString(8);
  throw new TokenError("permissions", `${path} has mode ${octal}, others could use it: chmod ${wanted} ${path}`);
}

/** Whole or not at all, also when the power goes: the new file is on disk before it takes the old one's name. */
function replaceFile(dir: string, text: string, unique: string): void {
  const next = join(dir, `.${FILE}.${unique}`);
  try {
    const file = openSync(next, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(next, join(dir, FILE));
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
  syncFolder(dir);
}

function syncFolder(dir: string): void {
  const folder = openSync(dir, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

async function locked(dir: string, clock: Clock, signal: AbortSignal, write: () => void): Promise<void> {
  await attempt(signal, () => {
    makeFolder(dir, 0o700);
    checkMode(dir, constants.O_RDONLY | constants.O_DIRECTORY, 0o022);
  });
  for (let tries = 0; ; tries++) {
    const done = await attempt(signal, () => {
      const holder = { pid: process.pid, what: "a rotation", since: isoTime(clock.now()) };
      using lock = takeLock(join(dir, "writer.lock"), holder);
      if (lock === null) return false;
      write();
      return true;
    });
    if (done) return;
    if (tries === LOCK_TRIES) throw new TokenError("changed", `somebody else is writing in ${dir}; try again`);
    await clock.sleep(5, signal);
  }
}

/** The file system's complaints as ours. */
async function attempt<T>(signal: AbortSignal, act: () => T): Promise<T> {
  signal.throwIfAborted();
  await breathe();
  try {
    return act();
  } catch (error) {
    if (error instanceof TokenError) throw error;
    const { code = "" } = error as NodeJS.ErrnoException;
    const reason = /EACCES|EPERM|EROFS|ELOOP|ENOTDIR|READONLY|CANTOPEN/.test(code) ? "permissions" : "down";
    throw new TokenError(reason, `cannot use the token's files: ${errorText(error)}`, { cause: error });
  }
}
