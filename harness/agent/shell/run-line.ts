import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { Clock } from "../../base/clock.ts";
import type { ShellReply, ShellRequest } from "./messages.ts";

export interface LineOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  /** Called when the line has ended, before its output is awaited: ends what left its process group. */
  sweep(): void;
}

/** Runs one line in a process group of its own and kills that group when the line, or its time, is over. */
export async function runLine(
  { id, command, timeoutMs, maxBytes }: ShellRequest,
  { env, folder, sweep }: LineOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<ShellReply> {
  const child = spawn("/bin/bash", ["-c", command], {
    cwd: folder,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // Nobody is left in it.
    }
  };
  const done = new AbortController();
  let timedOut = false;
  void clock.sleep(timeoutMs, AbortSignal.any([signal, done.signal])).then(
    () => {
      timedOut = true;
      kill();
    },
    () => kill(),
  );
  const outputs = Promise.all([bounded(child.stdout, maxBytes), bounded(child.stderr, maxBytes)]);
  const [code, signalName] = await once(child, "exit").catch((error: Error) => [127, error.message] as const);
  done.abort();
  kill();
  sweep();
  const [stdout, stderr] = await outputs;
  return {
    id,
    // As a shell says it: 137 = killed.
    exitCode: typeof code === "number" ? code : 128 + (signalName === "SIGKILL" ? 9 : 15),
    stdout: stdout.text,
    stderr: stderr.text,
    truncated: stdout.cut || stderr.cut,
    timedOut,
  };
}

/** The first bytes of a stream; the rest is read and thrown away, so that the writer is not held up. */
async function bounded(stream: Readable, maxBytes: number): Promise<{ readonly text: string; readonly cut: boolean }> {
  const kept: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (size < maxBytes) kept.push(chunk.subarray(0, maxBytes - size));
    size += chunk.length;
  }
  return { text: Buffer.concat(kept).toString("utf8").toWellFormed(), cut: size > maxBytes };
}
