import { rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ConfigError, errorText } from "../../../base/errors.ts";
import { listenPrivately } from "../../../base/listen-privately.ts";
import { makeFolder } from "../../../base/make-folder.ts";
import type { Log } from "../../../protocol.ts";
import { fromPerson, TERMINAL_SOCKET, type ToPerson } from "./attach-contract.ts";
import { plain } from "../../../base/plain-text.ts";
import type { Terminal } from "./terminal.ts";

/** What somebody who comes later, or comes back, is shown of what was said. */
const KEPT_CHARS = 100_000;
const NO_INCIDENT = "waiting for an incident";

/**
 * Terminals for a person who is somewhere else: `attach.ts` is the other end. They may leave and come back in mid-work,
 * the question waits for them; who comes later takes over. Closed when the signal aborts.
 *
 * @throws ConfigError where another agent listens already, or nobody can.
 */
export async function openTerminalDoor(folder: string, log: Log, signal: AbortSignal): Promise<() => Terminal> {
  const path = join(folder, TERMINAL_SOCKET);
  const desk = new Desk(log);
  const server = createServer((socket) => desk.seat(socket));
  try {
    makeFolder(folder, 0o700);
    if (await answers(path)) throw new ConfigError(`another agent has a person's terminal at ${path}`);
    // What an agent that was killed has left behind.
    await rm(path, { force: true });
    await listenPrivately(server, path);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`cannot listen for a person at ${path}: ${errorText(cause)}`, { cause });
  }
  const close = (): void => {
    desk.over("the agent has ended");
    // The socket goes with it.
    server.close();
  };
  if (signal.aborted) close();
  signal.addEventListener("abort", close, { once: true });
  log.info("terminal.opened", { at: path });
  return () => desk.open();
}

const answers = (path: string): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.once("error", () => done(false));
  });

interface Question {
  readonly text: string;
  readonly number: number;
  readonly answer: (line: string | null) => void;
}

/** One seat, and what whoever sits there is told. */
class Desk {
  readonly #log: Log;
  #person: Socket | null = null;
  /** Of the terminal that is open now; null = none is. */
  #said: string[] | null = null;
  #question: Question | null = null;
  #numbers = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  open(): Terminal {
    this.#said = [];
    return {
      say: (text) => this.#say(text),
      ask: (question, signal) => this.#ask(question, signal),
      [Symbol.dispose]: () => {
        this.#said = null;
      },
    };
  }

  seat(socket: Socket): void {
    this.over("somebody has attached elsewhere");
    this.#person = socket;
    this.#log.info("terminal.attached");
    // A connection that breaks is a person who has left.
    socket.on("error", () => {});
    socket.on("close", () => {
      if (this.#person !== socket) return;
      this.#person = null;
      this.#log.info("terminal.left");
    });
    const lines = createInterface({ input: socket }).on("line", (line) => this.#take(socket, line));
    socket.once("close", () => lines.close());
    if (this.#said === null) return this.#tell({ type: "say", text: NO_INCIDENT });
    for (const text of this.#said) this.#tell({ type: "say", text });
    if (this.#question !== null) this.#put(this.#question);
  }

  over(why: string): void {
    this.#tell({ type: "over", why });
    const person = this.#person;
    this.#person = null;
    // Not later than that it is sent: one whose program stands still keeps nobody from ending.
    person?.end(() => person.destroy());
  }

  #say(text: string): void {
    this.#keep(text);
    this.#tell({ type: "say", text });
  }

  #keep(text: string): void {
    if (this.#said === null) return;
    this.#said.push(text);
    let length = this.#said.reduce((sum, { length: chars }) => sum + chars, 0);
    while (length > KEPT_CHARS && this.#said.length > 1) length -= this.#said.shift()?.length ?? 0;
  }

  async #ask(text: string, signal: AbortSignal): Promise<string | null> {
    signal.throwIfAborted();
    const answered = Promise.withResolvers<string | null>();
    const question = { text, number: ++this.#numbers, answer: answered.resolve };
    const stop = (): void => answered.reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    this.#question = question;
    this.#put(question);
    try {
      const line = await answered.promise;
      this.#keep(`${text}${plain(line ?? "")}`);
      return line;
    } finally {
      this.#question = null;
      signal.removeEventListener("abort", stop);
    }
  }

  #put({ text, number }: Question): void {
    this.#tell({ type: "ask", question: text, number });
  }

  #take(from: Socket, line: string): void {
    const read = fromPerson.safeParse(jsonOf(line));
    if (from !== this.#person || !read.success || read.data.number !== this.#question?.number) return;
    this.#question.answer(read.data.line);
  }

  #tell(what: ToPerson): void {
    this.#person?.write(`${JSON.stringify(what)}\n`);
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
