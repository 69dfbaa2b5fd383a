import { spawn } from "node:child_process";

/** A program at a terminal of its own, and somebody who types. */
export interface Typist extends AsyncDisposable {
  /** Everything that was on the screen so far, colours and cursor movements left out. */
  screen(): string;
  /** Resolves when the screen shows it, after what was seen last; rejects when the program ends before. */
  sees(text: string): Promise<void>;
  /** Types a line, once the prompt is there. */
  types(line: string, prompt?: string): Promise<void>;
  /** The terminal's Ctrl-C. */
  interrupts(): void;
  readonly ended: Promise<number | null>;
}

/**
 * Debian's `script` (package bsdutils, which every Debian has) gives the program a pty; what we write goes to it as keys.
 * @param command a shell line; quote what needs it.
 */
export function atTerminal(command: string, env: Readonly<Record<string, string>>, cwd: string): Typist {
  const child = spawn("script", ["-qefc", command, "/dev/null"], { env: { ...env, TERM: "dumb" }, cwd });
  let screen = "";
  let seen = 0;
  const waiting = new Set<() => void>();
  const take = (chunk: Buffer): void => {
    // oxlint-disable-next-line no-control-regex
    screen += chunk.toString().replaceAll(/\u001b\[[0-9;?]*[A-Za-z]|\r/g, "");
    for (const look of waiting) look();
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const ended = new Promise<number | null>((done) => child.once("close", (code) => done(code)));
  const sees = (text: string): Promise<void> =>
    new Promise((found, missed) => {
      const look = (): void => {
        const at = screen.indexOf(text, seen);
        if (at < 0) return;
        seen = at + text.length;
        waiting.delete(look);
        found();
      };
      waiting.add(look);
      void ended.then(() => missed(new Error(`ended without "${text}":\n${screen}`)));
      look();
    });
  return {
    screen: () => screen,
    sees,
    async types(line, prompt = "> ") {
      await sees(prompt);
      child.stdin.write(`${line}\n`);
    },
    interrupts: () => void child.stdin.write("\u0003"),
    ended,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      await ended;
    },
  };
}
