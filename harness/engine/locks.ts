import { readFileSync, rmSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";

/** Who holds a lock, for the sentence that refuses a second one. */
export interface LockHolder {
  readonly pid: number;
  /** e.g. `lab run tikv/store-kill`. */
  readonly what: string;
  readonly since: string;
}

export interface OwnerLock extends Disposable {
  readonly path: string;
  release(): void;
}

/** Of this process. SQLite's handle is closed, and the lock with it, once nobody refers to it any more. */
const held = new Set<Database.Database>();

/**
 * Takes an exclusive lock that the operating system releases when this process ends, however it ends: `BEGIN IMMEDIATE`
 * on a small SQLite file, since Node has no flock. A pid file would outlive a SIGKILL and name a stranger later.
 *
 * It is held until it is released, whether or not its taker keeps what is returned here.
 *
 * Of several at once exactly one gets it. With `BEGIN EXCLUSIVE` two could refuse each other: each holds the shared lock
 * that both begin with while the other asks for all of them; the reserved lock has one holder
 * (https://www.sqlite.org/lockingv3.html, 3.0).
 *
 * @returns null when another process (or this one) holds it; `readHolder` says who.
 * @throws SqliteError when the file cannot be made.
 */
export function takeLock(path: string, holder: LockHolder): OwnerLock | null {
  const db = new Database(path, { timeout: 0 });
  try {
    db.exec("BEGIN IMMEDIATE");
    // Beside the lock, whose transaction is never committed. Only ever a hint for people.
    writeFileSync(holderPath(path), JSON.stringify(holder), { mode: 0o600 });
  } catch (error) {
    db.close();
    if ((error as { code?: string }).code?.startsWith("SQLITE_BUSY") === true) return null;
    throw error;
  }
  held.add(db);
  const release = (): void => {
    if (!held.delete(db)) return;
    rmSync(holderPath(path), { force: true });
    db.close();
  };
  return { path, release, [Symbol.dispose]: release };
}

/** Who took the lock last; null when nobody has or it cannot be read. Meaningful only while the lock is held. */
export function readHolder(path: string): LockHolder | null {
  try {
    return JSON.parse(readFileSync(holderPath(path), "utf8")) as LockHolder;
  } catch {
    return null;
  }
}

const holderPath = (path: string): string => `${path}.holder`;
