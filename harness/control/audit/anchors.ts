import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { timingSafeEqual } from "node:crypto";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { z } from "zod";
import { errorText } from "../../base/errors.ts";
import { makeFolder } from "../../base/make-folder.ts";
import { AuditError } from "./errors.ts";
import { macOf } from "./line.ts";
import type { AuditAnchor, AuditHead } from "./types.ts";

const anchored = z.strictObject({ writer: z.string(), seq: z.int().nonnegative(), hash: z.string(), mac: z.string() });
/** Longer than any record, so that a shorter one leaves nothing of a longer one behind. */
const RECORD_BYTES = 384;

/**
 * The head in a file of its own. Written in place without fsync: the chain's lines are on disk before their anchor, so
 * that a power cut can only leave it behind, which is no finding; a killed process loses nothing.
 */
export function fileAnchor(path: string): AuditAnchor {
  return {
    place: path,
    read(key, writer) {
      let text: string;
      try {
        text = readFileSync(path, "utf8");
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
        throw new AuditError(`cannot read the audit's anchor ${path}: ${errorText(cause)}`, { cause });
      }
      return headIn(text, key, writer, path);
    },
    write(key, writer, head) {
      try {
        const file = openToWrite(path);
        try {
          writeSync(file, `${recordOf(key, writer, head).padEnd(RECORD_BYTES - 1)}\n`, 0);
        } finally {
          closeSync(file);
        }
      } catch (cause) {
        throw new AuditError(`cannot write the audit's anchor ${path}: ${errorText(cause)}`, { cause });
      }
    },
  };
}

/** Its folder is made when it is not there. */
function openToWrite(path: string): number {
  const open = () => openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    return open();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    makeFolder(dirname(path), 0o700);
    return open();
  }
}

/** The head in a table of the command queue's SQLite file. */
export function databaseAnchor(path: string): AuditAnchor & Disposable {
  let db: Database.Database | null = null;
  let put: Database.Statement | null = null;
  const open = (): Database.Database => {
    if (db !== null) return db;
    makeFolder(dirname(path), 0o700);
    const opened = new Database(path, { timeout: 1_000 });
    opened.pragma("journal_mode = WAL");
    opened.pragma("synchronous = NORMAL");
    opened.exec("CREATE TABLE IF NOT EXISTS audit_anchor (writer TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT");
    db = opened;
    return opened;
  };
  const saying = <T>(task: () => T): T => {
    try {
      return task();
    } catch (cause) {
      if (cause instanceof AuditError) throw cause;
      throw new AuditError(`cannot use the audit's anchor in ${path}: ${errorText(cause)}`, { cause });
    }
  };
  return {
    place: path,
    read: (key, writer) =>
      saying(() => {
        // Whoever only looks makes nothing.
        if (db === null && !existsSync(path)) return null;
        const row = open().prepare<[string], { record: string }>("SELECT record FROM audit_anchor WHERE writer = ?");
        const found = row.get(writer);
        return found === undefined ? null : headIn(found.record, key, writer, path);
      }),
    write: (key, writer, head) =>
      saying(() => {
        put ??= open().prepare(
          "INSERT INTO audit_anchor (writer, record) VALUES (?, ?) ON CONFLICT (writer) DO UPDATE SET record = excluded.record",
        );
        put.run(writer, recordOf(key, writer, head));
      }),
    [Symbol.dispose]: () => void db?.close(),
  };
}

/** The last one made: a head goes to each anchor in turn. */
let last: { readonly key: Buffer; readonly writer: string; readonly head: AuditHead; readonly record: string } | null =
  null;

function recordOf(key: Buffer, writer: string, head: AuditHead): string {
  if (last?.head !== head || last.key !== key || last.writer !== writer) {
    const { seq, hash } = head;
    last = { key, writer, head, record: JSON.stringify({ writer, seq, hash, mac: anchorMac(key, writer, seq, hash) }) };
  }
  return last.record;
}

function headIn(text: string, key: Buffer, writer: string, place: string): AuditHead {
  let record: z.output<typeof anchored>;
  try {
    record = anchored.parse(JSON.parse(text));
  } catch (cause) {
    throw new AuditError(`the audit's anchor in ${place} is damaged`, { cause });
  }
  const { seq, hash } = record;
  const wanted = Buffer.from(anchorMac(key, writer, seq, hash));
  const found = Buffer.from(record.mac);
  if (record.writer !== writer || found.length !== wanted.length || !timingSafeEqual(found, wanted))
    throw new AuditError(`the audit's anchor in ${place} was not written with this key`);
  return { seq, hash };
}

const anchorMac = (key: Buffer, writer: string, seq: number, hash: string): string =>
  macOf(`anchor\n${writer}\n${seq}\n${hash}`, key);
