import { closeSync, fsyncSync, ftruncateSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isoTime } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import { makeFolder } from "../../base/make-folder.ts";
import { readHolder, takeLock, type OwnerLock } from "../../engine/locks.ts";
import type { Deps } from "../../protocol.ts";
import { chainFiles, scanFile } from "./chain-files.ts";
import { ChainWriter } from "./chain-writer.ts";
import { AuditError } from "./errors.ts";
import { auditKey } from "./key.ts";
import { hashOf } from "./line.ts";
import { outcomeLine, trailOf } from "./trail.ts";
import type { AuditEntry, AuditOptions, AuditTrail } from "./types.ts";
import { verifyAudit, type AuditReport } from "./verify-audit.ts";

const DEFAULT_MAX_FILE_BYTES = 16 * 1024 ** 2;

type AuditDeps = Pick<Deps, "clock" | "log">;

/**
 * Opens a writer's chain, alone: one process at a time. What a killed predecessor left is mended knowingly: a last line
 * that was cut short is removed and named in an event, an intent without an outcome is closed as `unknown`.
 *
 * @throws AuditError when somebody else writes it, when it cannot be written, or when it is not what was written
 *   (a changed or removed line, a cut tail): nothing is added to a chain that cannot be trusted.
 */
export async function openAudit(options: AuditOptions, deps: AuditDeps): Promise<AuditTrail> {
  const folder = join(options.folder, options.writer);
  const lock = claim(folder, options.writer, deps);
  try {
    return await openClaimed(folder, lock, options, deps);
  } catch (cause) {
    lock.release();
    if (cause instanceof AuditError) throw cause;
    throw new AuditError(`cannot open the audit in ${folder}: ${errorText(cause)}`, { cause });
  }
}

async function openClaimed(
  folder: string,
  lock: OwnerLock,
  options: AuditOptions,
  deps: AuditDeps,
): Promise<AuditTrail> {
  const { writer, anchors, maxFileBytes = DEFAULT_MAX_FILE_BYTES } = options;
  const key = auditKey(options.keyFolder);
  const before = verifyAudit(options);
  const wrong = before.findings.find((finding) => !(finding.kind === "anchor" && isYoung(before)));
  if (wrong !== undefined)
    throw new AuditError(
      `the audit in ${folder} is not what was written: ${wrong.text} (${wrong.place}). ` +
        "Nothing runs until a person has looked: see `lab audit verify`",
    );
  const torn = removeTornLine(folder, key);
  const chain = await ChainWriter.open({ folder, writer, key, anchors, maxFileBytes, head: before.head }, deps);
  const trail = trailOf(chain, lock);
  try {
    if (torn !== null) {
      deps.log.warn("audit.torn-line", { ...torn });
      await trail.event("torn-line-removed", {
        ...torn,
        why: "its writer was stopped in mid-line; it was never acknowledged",
      });
    }
    for (const { seq, entry } of openIntents(folder, key, new Set(before.open)))
      await chain.append([() => outcomeLine(seq, entry, LEFT_OPEN)]);
    return trail;
  } catch (error) {
    await trail[Symbol.asyncDispose]();
    throw error;
  }
}

const LEFT_OPEN = {
  verdict: "unknown",
  code: "writer-restarted",
  why: "the program ended between intent and outcome",
} as const;

/** Its anchors were never written: killed between the first group of lines and them. */
const isYoung = ({ files, lines, anchors }: AuditReport): boolean =>
  files === 1 && lines <= 1 && anchors.every(({ seq }) => seq === null);

function claim(folder: string, writer: string, { clock }: Pick<Deps, "clock">): OwnerLock {
  const path = join(folder, "writer.lock");
  let lock: OwnerLock | null;
  try {
    makeFolder(folder, 0o700);
    lock = takeLock(path, { pid: process.pid, what: writer, since: isoTime(clock.now()) });
  } catch (cause) {
    throw new AuditError(`cannot write the audit in ${folder}: ${errorText(cause)}`, { cause });
  }
  if (lock !== null) return lock;
  const pid = readHolder(path)?.pid;
  throw new AuditError(`${folder} has a writer already${pid === undefined ? "" : ` (pid ${pid})`}`);
}

interface TornLine {
  readonly file: string;
  readonly line: number;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Removes what follows the last whole line. Only a killed writer leaves that: whoever cuts in the middle of a line that
 * was ever acknowledged is found by the anchors, which know it.
 */
function removeTornLine(folder: string, key: Buffer): TornLine | null {
  const files = chainFiles(folder);
  const last = files.at(-1);
  if (last === undefined) return null;
  const { rest, wholeBytes, lines } = scanFile(last.path, key);
  if (rest !== null) truncate(last.path, wholeBytes);
  // One that was made and got no line: the chain goes on in the file before.
  if (lines.length === 0 && files.length > 1) rmSync(last.path);
  return rest === null ? null : { file: last.path, line: lines.length + 1, bytes: rest.length, sha256: hashOf(rest) };
}

function truncate(path: string, bytes: number): void {
  const file = openSync(path, "r+");
  try {
    ftruncateSync(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function openIntents(
  folder: string,
  key: Buffer,
  open: ReadonlySet<number>,
): readonly { readonly seq: number; readonly entry: Omit<AuditEntry, "params"> }[] {
  if (open.size === 0) return [];
  return chainFiles(folder).flatMap(({ path }) =>
    scanFile(path, key).lines.flatMap(({ record }) =>
      record?.kind === "intent" && open.has(record.seq) ? [{ seq: record.seq, entry: record }] : [],
    ),
  );
}
