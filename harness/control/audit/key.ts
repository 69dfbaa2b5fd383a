import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { errorText } from "../../base/errors.ts";
import { makeFolder } from "../../base/make-folder.ts";
import { AuditError } from "./errors.ts";

const FILE = "audit.key";
const BYTES = 32;

/**
 * The key that authenticates a chain, made on first use. Whoever has it can rewrite the past, so it lies in a folder of
 * its own that only the writer's program and the host's command line can read.
 * @throws AuditError when it cannot be read or made, or others can read it.
 */
export function auditKey(folder: string): Buffer {
  try {
    makeFolder(folder, 0o700);
    return readKey(folder) ?? makeKey(folder);
  } catch (cause) {
    if (cause instanceof AuditError) throw cause;
    throw new AuditError(`cannot use the audit's key in ${folder}: ${errorText(cause)}`, { cause });
  }
}

/** Null = there is none. @throws AuditError as `auditKey`. */
export function readKey(folder: string): Buffer | null {
  const path = join(folder, FILE);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return null;
  if (!found.isFile() || (found.mode & 0o077) !== 0)
    throw new AuditError(`${path} can be read by others: chmod 600 ${path}`);
  const key = Buffer.from(readFileSync(path, "utf8").trim(), "hex");
  if (key.length !== BYTES) throw new AuditError(`${path} is not a key of ${BYTES} bytes in hex`);
  return key;
}

/** Whole or not at all, and never over one that another process has made meanwhile. */
function makeKey(folder: string): Buffer {
  chmodSync(folder, 0o700);
  const path = join(folder, FILE);
  const draft = `${path}.${randomBytes(4).toString("hex")}`;
  const key = randomBytes(BYTES);
  const file = openSync(draft, "wx", 0o600);
  try {
    writeSync(file, `${key.toString("hex")}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readKey(folder) ?? key;
}
