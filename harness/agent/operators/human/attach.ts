import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { errorText, HarnessError } from "../../../base/errors.ts";
import { toPerson, type FromPerson } from "./attach-contract.ts";
import { plain } from "../../../base/plain-text.ts";
import type { Terminal } from "./terminal.ts";

/** Nobody listens there, or has ever done. */
const NOBODY = ["ENOENT", "ECONNREFUSED", "ENOTSOCK"];

/**
 * Makes a terminal here the one of an agent that is elsewhere (`terminal-door.ts`), until the agent ends, somebody else
 * takes over, or the signal aborts: then the person has left, and what they worked on waits for them.
 *
 * @returns why it ended. @throws HarnessError `not-found` when no agent waits for a person at that socket.
 */
export async function attachTo(socketPath: string, open: () => Terminal, signal: AbortSignal): Promise<string> {
  const socket = await connected(socketPath);
  const hangUp = (): void => void socket.destroy();
  signal.addEventListener("abort", hangUp, { once: true });
  if (signal.aborted) hangUp();
  using terminal = open();
  const lines = createInterface({ input: socket });
  socket.once("close", () => lines.close());
  let asking = new AbortController();
  try {
    for await (const line of lines) {
      asking.abort(new Error("something else was said"));
      const told = toPerson.parse(JSON.parse(line));
      if (told.type === "over") return told.why;
      if (told.type === "say") terminal.say(plain(told.text));
      else {
        asking = new AbortController();
        void answer(terminal, told, socket, asking.signal);
      }
    }
    if (signal.aborted) return "you have left; what you worked on waits for you";
    return socket.writableEnded ? "you have left" : "the agent is gone";
  } finally {
    asking.abort(new Error("it is over"));
    signal.removeEventListener("abort", hangUp);
    socket.destroy();
  }
}

async function answer(
  terminal: Terminal,
  { question, number }: { readonly question: string; readonly number: number },
  socket: Socket,
  signal: AbortSignal,
): Promise<void> {
  try {
    const reply: FromPerson = { number, line: await terminal.ask(plain(question), signal) };
    socket.write(`${JSON.stringify(reply)}\n`);
    // Their terminal says no more; what is said now is still shown.
    if (reply.line === null) socket.end();
  } catch {
    // Not asked any more.
  }
}

async function connected(path: string): Promise<Socket> {
  try {
    const socket = connect(path);
    await once(socket, "connect");
    socket.on("error", () => {});
    return socket;
  } catch (cause) {
    if (NOBODY.includes((cause as NodeJS.ErrnoException).code ?? ""))
      throw new HarnessError("not-found", "no agent waits for a person here", { cause });
    throw new HarnessError("operator-failed", `cannot reach the agent's terminal at ${path}: ${errorText(cause)}`, {
      cause,
    });
  }
}
