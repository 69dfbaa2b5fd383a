import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeLine, hashOf, type AuditRecord } from "./line.ts";

const NAME = /^(\d{12})\.jsonl$/;

export interface ChainFile {
  readonly path: string;
  /** Number of its first line. */
  readonly first: number;
}

export const chainFilePath = (folder: string, first: number): string =>
  join(folder, `${String(first).padStart(12, "0")}.jsonl`);

/** A chain's files, oldest first; none where there is no folder. */
export function chainFiles(folder: string): ChainFile[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return names
    .flatMap((name) => {
      const first = NAME.exec(name)?.[1];
      return first === undefined ? [] : [{ path: join(folder, name), first: Number(first) }];
    })
    .sort((a, b) => a.first - b.first);
}

export interface ScannedLine {
  /** From 1. */
  readonly no: number;
  /** Null = not what was written. */
  readonly record: AuditRecord | null;
  readonly hash: string;
}

export interface ScannedFile {
  readonly lines: readonly ScannedLine[];
  /** Size up to the end of the last whole line. */
  readonly wholeBytes: number;
  /** What follows the last newline: a line whose writing was cut short. Null = nothing. */
  readonly rest: Buffer | null;
}

const NEWLINE = 0x0a;

export function scanFile(path: string, key: Buffer): ScannedFile {
  const bytes = readFileSync(path);
  const lines: ScannedLine[] = [];
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end === -1) break;
    const line = bytes.subarray(start, end);
    lines.push({ no: lines.length + 1, record: decodeLine(line, key), hash: hashOf(line) });
    start = end + 1;
  }
  return { lines, wholeBytes: start, rest: start === bytes.length ? null : bytes.subarray(start) };
}
