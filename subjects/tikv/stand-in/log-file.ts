import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import type { Clock } from "../../../harness/base/clock.ts";

export interface LogFileOptions {
  readonly path: string;
  /** A file that has grown beyond it is renamed, and a new one begun. */
  readonly maxBytes: number;
  /** Renamed ones that are kept; 0 = all. */
  readonly maxBackups: number;
  readonly clock: Clock;
}

/**
 * A log in a file, `tikv.log`; older parts beside it as `tikv-2026-01-02T03-04-05.678.log`
 * (tikv/tikv:components/server/src/setup.rs, `rename_by_timestamp`). @returns what writes a line. @throws as fs
 */
export function logFile(options: LogFileOptions): (line: string) => void {
  const { path, maxBytes } = options;
  mkdirSync(dirname(path), { recursive: true });
  let fd = openSync(path, "a", 0o644);
  let bytes = fstatSync(fd).size;
  return (line) => {
    if (bytes >= maxBytes) {
      closeSync(fd);
      renameSync(path, backupPath(options));
      dropOldest(options);
      fd = openSync(path, "a", 0o644);
      bytes = 0;
    }
    bytes += writeSync(fd, line);
  };
}

function backupPath({ path, clock }: LogFileOptions): string {
  const time = new Date(clock.now()).toISOString().slice(0, 23).replaceAll(":", "-");
  return join(dirname(path), `${basename(path, extname(path))}-${time}${extname(path)}`);
}

function dropOldest({ path, maxBackups }: LogFileOptions): void {
  if (maxBackups === 0) return;
  const prefix = `${basename(path, extname(path))}-`;
  const backups = readdirSync(dirname(path)).filter((name) => name.startsWith(prefix) && name.endsWith(extname(path)));
  for (const name of backups.toSorted().slice(0, -maxBackups)) rmSync(join(dirname(path), name));
}
