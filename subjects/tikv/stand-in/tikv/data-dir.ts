import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { HarnessError, StoreError } from "../../../../harness/base/errors.ts";

/** Who this store is, fixed with its first start. */
export interface StoreIdentity {
  readonly clusterId: string;
  readonly storeId: number;
  /** A first region was made here and PD has not confirmed it yet. */
  readonly preparedRegion: number | null;
}

/** A store's folder: locked as long as this process lives. */
export class DataDir implements Disposable {
  readonly path: string;
  readonly #lock: InstanceType<typeof Database>;

  /** @throws HarnessError `already-running` when another process uses it. */
  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true });
    const file = join(path, "LOCK");
    // Released by the system however the process ends; Node has no flock.
    this.#lock = new Database(file, { timeout: 0 });
    try {
      this.#lock.exec("BEGIN EXCLUSIVE");
    } catch (cause) {
      this.#lock.close();
      throw new HarnessError(
        "already-running",
        `lock ${file} failed, maybe another instance is using this directory.`,
        {
          cause,
        },
      );
    }
  }

  get raftFolder(): string {
    return join(this.path, "raft-engine");
  }

  /** Null before the first start. @throws StoreError when it cannot be understood. */
  readIdentity(): StoreIdentity | null {
    let text: string;
    try {
      text = readFileSync(this.#identityFile, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
    try {
      return parseIdentity(text);
    } catch (cause) {
      throw new StoreError(`${this.#identityFile} is damaged`, { cause });
    }
  }

  /** On disk when it returns. */
  writeIdentity(identity: StoreIdentity): void {
    const temporary = `${this.#identityFile}.tmp`;
    const fd = openSync(temporary, "w", 0o600);
    writeSync(fd, JSON.stringify(identity));
    fsyncSync(fd);
    closeSync(fd);
    renameSync(temporary, this.#identityFile);
    const folder = openSync(dirname(this.#identityFile), "r");
    fsyncSync(folder);
    closeSync(folder);
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }

  get #identityFile(): string {
    return join(this.path, "store-ident.json");
  }
}

/** By hand: zod would be 5 MB and 50 ms of every store's start. @throws TypeError, SyntaxError */
function parseIdentity(text: string): StoreIdentity {
  const { clusterId, storeId, preparedRegion } = JSON.parse(text) as Partial<Record<keyof StoreIdentity, unknown>>;
  if (typeof clusterId !== "string" || typeof storeId !== "number") throw new TypeError("not a store's identity");
  if (preparedRegion !== null && typeof preparedRegion !== "number") throw new TypeError("not a store's identity");
  return { clusterId, storeId, preparedRegion };
}
