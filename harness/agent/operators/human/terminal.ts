import { createInterface } from "node:readline";
import { ConfigError } from "../../../base/errors.ts";

/** A person at a terminal: lines out, lines in. */
export interface Terminal extends Disposable {
  say(text: string): void;
  /** One line; null once the person has left (Ctrl-D). @throws the signal's reason */
  ask(question: string, signal: AbortSignal): Promise<string | null>;
}

/** @throws ConfigError where this process has no terminal. */
export function requireTerminal(): void {
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true)
    throw new ConfigError("the operator human needs a terminal: its input or its output is not one");
}

/** The terminal of this process. Ctrl-C at its prompt is what it is everywhere else: a SIGINT. */
export function openTerminal(): Terminal {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  // What is typed ahead, or pasted, waits for its question.
  const typed: (string | null)[] = [];
  let waiting: ((line: string | null) => void) | null = null;
  const take = (line: string | null): void => {
    if (waiting === null) typed.push(line);
    else waiting(line);
  };
  lines.on("line", take);
  lines.once("close", () => take(null));
  // While the prompt is there the terminal hands Ctrl-C to us as a key instead of sending the signal.
  lines.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  return {
    say: (text) => void process.stdout.write(`${text}\n`),
    async ask(question, signal) {
      signal.throwIfAborted();
      const next = typed.shift();
      if (next !== undefined) {
        process.stdout.write(`${question}${next ?? ""}\n`);
        return next;
      }
      lines.setPrompt(question);
      lines.prompt();
      const answer = Promise.withResolvers<string | null>();
      waiting = answer.resolve;
      const stop = (): void => answer.reject(signal.reason);
      signal.addEventListener("abort", stop, { once: true });
      try {
        return await answer.promise;
      } finally {
        waiting = null;
        signal.removeEventListener("abort", stop);
      }
    },
    [Symbol.dispose]: () => lines.close(),
  };
}
