import { spawn, type ChildProcess } from "node:child_process";
import type { Clock, ExecResult } from "../../protocol.ts";
import { EngineError } from "../../base/errors.ts";
import { nodeEnvironment } from "./managed-process.ts";
import type { ParsedNodeSpec } from "./spec.ts";

const DEFAULT_MAX_BYTES = 65_536;

export interface ExecOptions {
  readonly timeoutMs: number;
  readonly maxBytes?: number | undefined;
}

/**
 * Runs one of the component's programs (a closed list in its spec) beside it, without a shell, in its folder.
 *
 * @throws EngineError `not-supported` for any other program; `timeout`, after which it has been killed.
 */
export async function execProgram(
  spec: ParsedNodeSpec,
  argv: readonly string[],
  options: ExecOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<ExecResult> {
  const [name = "", ...args] = argv;
  // A plain object's own keys only: "constructor" is no program.
  const script = new Map(Object.entries(spec.programs)).get(name.replace(/^\//, ""));
  if (script === undefined) throw unknownProgram(spec, name);
  const child = spawn(process.execPath, [...script, ...args], {
    cwd: spec.cwd,
    env: { ...nodeEnvironment(), ...spec.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const [stdout, stderr] = [bounded(child.stdout, maxBytes), bounded(child.stderr, maxBytes)];
  const exitCode = await untilClosed(child, options.timeoutMs, clock, signal);
  if (exitCode === null)
    throw new EngineError("timeout", `${name} in ${spec.component} did not end within ${options.timeoutMs} ms`);
  return { exitCode, stdout: stdout.text(), stderr: stderr.text(), truncated: stdout.cut() || stderr.cut() };
}

/** Null = the time was over first and it has been killed. */
async function untilClosed(child: ChildProcess, timeoutMs: number, clock: Clock, signal: AbortSignal) {
  const closed = new AbortController();
  const exit = new Promise<number>((resolve, reject) => {
    child.once("close", (code) => resolve(code ?? 137));
    child.once("error", reject);
  });
  const late = clock.sleep(timeoutMs, AbortSignal.any([signal, closed.signal])).then(
    () => null,
    () => (closed.signal.aborted ? exit : null),
  );
  try {
    const first = await Promise.race([exit, late]);
    if (first === null) child.kill("SIGKILL");
    signal.throwIfAborted();
    return first;
  } finally {
    closed.abort();
  }
}

function bounded(stream: NodeJS.ReadableStream, maxBytes: number) {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    const room = maxBytes - bytes;
    bytes += chunk.length;
    if (room > 0) chunks.push(chunk.subarray(0, room));
  });
  return { text: () => Buffer.concat(chunks).toString("utf8"), cut: () => bytes > maxBytes };
}

function unknownProgram(spec: ParsedNodeSpec, name: string): EngineError {
  const known = Object.keys(spec.programs);
  return new EngineError(
    "not-supported",
    `this engine does not run "${name}" in ${spec.component}; it runs ${known.length === 0 ? "nothing" : known.join(", ")}`,
  );
}
