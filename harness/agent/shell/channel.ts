import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { HarnessError } from "../../base/errors.ts";
import type { ShellResult, ShellRunner } from "../tools/shell.ts";
import { linesOf } from "./lines.ts";
import { replySchema } from "./messages.ts";

/** The ends of the pipes that `docker/agent/start` left open for us: `<read>,<write>`, file descriptors. */
export function shellOf(descriptors: string): ShellRunner {
  const [from = NaN, to = NaN] = descriptors.split(",").map(Number);
  // Sockets and not file streams: those would hold a thread in a read for ever, and the program with it.
  const reading = new Socket({ fd: from, readable: true, writable: false }).unref();
  return shellChannel(reading, new Socket({ fd: to, readable: false, writable: true }).unref());
}

/**
 * The operator's end of the pipe to its shell. The other end runs as a user who may be told anything by what it runs,
 * so nothing it says is believed beyond its form: what is not an answer to a question ends the channel.
 */
export function shellChannel(from: Readable, to: Writable): ShellRunner {
  const waiting = new Map<number, { answer(reply: ShellResult): void; fail(error: unknown): void }>();
  let ended: HarnessError | null = null;
  let last = 0;
  const end = (): void => {
    ended ??= new HarnessError("wrong-state", "the shell has ended and does not come back; use the other tools");
    for (const { fail } of waiting.values()) fail(ended);
    waiting.clear();
    to.destroy();
    from.destroy();
  };
  const listen = async (): Promise<void> => {
    for await (const line of linesOf(from)) {
      const reply = replySchema.safeParse(jsonOf(line));
      const asked = reply.success ? waiting.get(reply.data.id) : undefined;
      if (!reply.success || asked === undefined) return;
      waiting.delete(reply.data.id);
      const { id: _, ...result } = reply.data;
      asked.answer(result);
    }
  };
  void listen().then(end, end);
  to.on("error", end);
  const send = (message: object): void => void (ended === null && to.write(`${JSON.stringify(message)}\n`));
  return {
    run(command, options, signal) {
      return new Promise((answer, fail) => {
        if (signal.aborted) return fail(signal.reason);
        if (ended !== null) return fail(ended);
        const id = ++last;
        const cancel = (): void => {
          send({ cancel: id });
          fail(signal.reason);
        };
        signal.addEventListener("abort", cancel, { once: true });
        const over = (): void => signal.removeEventListener("abort", cancel);
        waiting.set(id, {
          answer: (reply) => (over(), answer(reply)),
          fail: (error) => (over(), fail(error)),
        });
        send({ id, command, ...options });
      });
    },
  };
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return null;
  }
}
