import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { withDeadline } from "../base/deadline.ts";
import { EngineError, HarnessError } from "../base/errors.ts";
import type { Clock, ExecResult, Ids } from "../protocol.ts";
import { FrameReader } from "./docker-streams.ts";

const DEFAULT_MAX_BYTES = 65_536;
/** Marks the processes of one call, so that those that outlive it can be found. */
const MARK = "OP_CALL";

export interface DockerExecOptions {
  readonly timeoutMs: number;
  readonly maxBytes?: number | undefined;
  readonly user?: string;
}

/**
 * Runs an argv in a container. Keeps the first `maxBytes` of each output. What has not ended in time is killed, with
 * everything that it started, where the container has a shell.
 *
 * @throws EngineError `timeout`; what dockerode throws.
 */
export async function dockerExec(
  container: Docker.Container,
  argv: readonly string[],
  options: DockerExecOptions,
  { clock, ids }: { readonly clock: Clock; readonly ids: Ids },
  signal: AbortSignal,
): Promise<ExecResult> {
  const mark = `${MARK}=${ids.hex(6)}`;
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const outputs = { stdout: new Bounded(maxBytes), stderr: new Bounded(maxBytes) };
  const run = async (inner: AbortSignal): Promise<ExecResult> => {
    const exec = await container.exec({
      Cmd: [...argv],
      Env: [mark],
      AttachStdout: true,
      AttachStderr: true,
      ...(options.user === undefined ? {} : { User: options.user }),
      abortSignal: inner,
    });
    const stream = await exec.start({ abortSignal: inner });
    const reader = new FrameReader();
    await drain(stream, inner, (chunk) => {
      for (const frame of reader.push(chunk)) outputs[frame.stream].push(frame.bytes);
    });
    const { ExitCode } = await exec.inspect({ abortSignal: inner });
    const { stdout, stderr } = outputs;
    return { exitCode: ExitCode ?? -1, stdout: stdout.text, stderr: stderr.text, truncated: stdout.cut || stderr.cut };
  };
  try {
    return await withDeadline(clock, { ms: options.timeoutMs, what: argv.join(" "), signal }, run);
  } catch (error) {
    const late = error instanceof HarnessError && error.code === "timeout";
    if (late || signal.aborted) await killMarked(container, mark);
    if (late) throw new EngineError("timeout", `${argv[0]} did not end within ${options.timeoutMs} ms`);
    throw error;
  }
}

/** Docker has no way to end an exec: closing its stream leaves the process running. */
async function killMarked(container: Docker.Container, mark: string): Promise<void> {
  const script = `for p in /proc/[0-9]*; do grep -qz '^${mark}$' "$p/environ" 2>/dev/null && kill -9 "\${p#/proc/}"; done`;
  try {
    const exec = await container.exec({ Cmd: ["/bin/sh", "-c", script] });
    await exec.start({ Detach: true });
  } catch {
    // No shell in there, or the container is gone: nothing more can be done, and the caller's error says enough.
  }
}

/** Reads until the stream ends. @throws the signal's reason, after destroying the stream. */
async function drain(stream: Readable, signal: AbortSignal, take: (chunk: Buffer) => void): Promise<void> {
  const onAbort = (): void => void stream.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of stream) take(chunk as Buffer);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

class Bounded {
  readonly #maxBytes: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(bytes: Buffer): void {
    const room = this.#maxBytes - this.#bytes;
    this.#bytes += bytes.length;
    if (room > 0) this.#chunks.push(bytes.subarray(0, room));
  }

  get cut(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString("utf8");
  }
}
