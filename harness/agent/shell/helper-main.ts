/**
 * The shell's helper: `node harness/agent/shell/helper-main.ts [--alone=<uid>]`, started by `docker/agent/start` as a user
 * of its own. Lines of shell in on stdin, what came of them out on stdout; ends with its input.
 *
 * With `--alone` everything else of this user is killed after each line. Never give it to a user who has other things.
 */
import { tmpdir } from "node:os";
import { systemClock } from "../../base/clock.ts";
import { linesOf } from "./lines.ts";
import { cancelSchema, requestSchema, type ShellReply, type ShellRequest } from "./messages.ts";
import { runLine } from "./run-line.ts";
import { shellEffect } from "../tools/shell-effect.ts";

const { OPERATOR_SAFETY_MODE: mode, ...rest } = process.env;
const env = Object.fromEntries(Object.entries(rest).flatMap(([name, value]) => (value ? [[name, value]] : [])));
const alone = process.argv.includes(`--alone=${process.getuid?.() ?? 0}`) && process.getuid?.() !== 0;

function sweep(): void {
  try {
    // All that we may signal but ourselves (kill(2)): those of this user.
    if (alone) process.kill(-1, "SIGKILL");
  } catch {
    // Nobody is left.
  }
}

const cancels = new Map<number, AbortController>();
async function answer(request: ShellRequest, signal: AbortSignal): Promise<ShellReply> {
  const nothing = { id: request.id, stdout: "", truncated: false, timedOut: false };
  if (signal.aborted) return { ...nothing, exitCode: 137, stderr: "cancelled" };
  // The operator's program asks too; what runs here is decided here.
  if (mode === "observe" && shellEffect(request.command) !== "read")
    return { ...nothing, exitCode: 126, stderr: "not allowed in observe mode: only reading is" };
  return await runLine(request, { env, folder: tmpdir(), sweep }, systemClock, signal);
}

process.stdout.write("ready\n");
// One after the other: the sweep after one would kill what another has started.
let turn: Promise<unknown> = Promise.resolve();
for await (const line of linesOf(process.stdin)) {
  const message: unknown = JSON.parse(line);
  const cancelled = cancelSchema.safeParse(message);
  if (cancelled.success) {
    cancels.get(cancelled.data.cancel)?.abort();
    continue;
  }
  const request = requestSchema.parse(message);
  const cancel = new AbortController();
  cancels.set(request.id, cancel);
  turn = turn
    .then(() => answer(request, cancel.signal))
    .then((reply) => {
      cancels.delete(request.id);
      process.stdout.write(`${JSON.stringify(reply)}\n`);
    });
}
for (const cancel of cancels.values()) cancel.abort();
await turn;
