import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, openSync, writeSync } from "node:fs";

/** Below this, writing zeros is as quick as asking another program. */
const SMALL_BYTES = 32 << 20;
const CHUNK = 1 << 20;

/** A file that really takes the space. Node has no fallocate(2), so the system's program of that name is asked. */
export function allocateFile(path: string, bytes: number): void {
  if (bytes > SMALL_BYTES && spawnSync("fallocate", ["-l", String(bytes), path]).status === 0) return;
  const fd = openSync(path, "w", 0o600);
  try {
    const zeros = Buffer.alloc(Math.min(CHUNK, bytes));
    for (let left = bytes; left > 0; left = bytes - fstatSync(fd).size)
      writeSync(fd, zeros, 0, Math.min(zeros.length, left));
  } finally {
    closeSync(fd);
  }
}
