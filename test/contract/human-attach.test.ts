import { mkdtemp, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { silentLog } from "../../harness/base/log.ts";
import { TERMINAL_SOCKET } from "../../harness/agent/operators/human/attach-contract.ts";
import { attachTo } from "../../harness/agent/operators/human/attach.ts";
import { openTerminalDoor } from "../../harness/agent/operators/human/terminal-door.ts";
import type { Terminal } from "../../harness/agent/operators/human/terminal.ts";

/** A person who types what the test says, when it says so. */
class Person {
  readonly screen: string[] = [];
  readonly left = new AbortController();
  #asked = Promise.withResolvers<string>();
  #answer = Promise.withResolvers<string | null>();
  readonly #shown = new Set<() => void>();

  terminal(): Terminal {
    return {
      say: (text) => {
        this.screen.push(text);
        for (const look of this.#shown) look();
      },
      ask: async (question, signal) => {
        this.#asked.resolve(question);
        const stop = Promise.withResolvers<never>();
        signal.addEventListener("abort", () => stop.reject(signal.reason), { once: true });
        return await Promise.race([this.#answer.promise, stop.promise]);
      },
      [Symbol.dispose]: () => {},
    };
  }

  asked(): Promise<string> {
    return this.#asked.promise;
  }

  async types(line: string | null): Promise<void> {
    await this.asked();
    this.#asked = Promise.withResolvers();
    const given = this.#answer;
    this.#answer = Promise.withResolvers();
    given.resolve(line);
  }

  sees(text: string): Promise<void> {
    return new Promise((found) => {
      const look = (): void => {
        if (this.screen.includes(text)) found();
      };
      this.#shown.add(look);
      look();
    });
  }
}

async function door() {
  const folder = await mkdtemp(join(tmpdir(), "doors-"));
  const stop = new AbortController();
  onTestFinished(async () => {
    stop.abort(new Error("the test is over"));
    await rm(folder, { recursive: true, force: true });
  });
  const path = join(folder, TERMINAL_SOCKET);
  const open = await openTerminalDoor(folder, silentLog, stop.signal);
  const attach = () => {
    const person = new Person();
    return { person, over: attachTo(path, () => person.terminal(), person.left.signal) };
  };
  return { folder, path, stop, terminal: open(), open, attach };
}

const never = new AbortController().signal;

describe("a terminal that is elsewhere", () => {
  test("a question waits for somebody to come, survives their leaving, and is answered once", async () => {
    const { terminal, attach, path } = await door();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    terminal.say("tikv1 does not answer");
    const answer = terminal.ask("> ", never);
    const first = attach();
    expect(await first.person.asked()).toBe("> ");
    expect(first.person.screen).toEqual(["tikv1 does not answer"]);
    first.person.left.abort(new Error("Ctrl-C"));
    expect(await first.over).toContain("waits for you");
    const second = attach();
    await second.person.types("list");
    expect(await answer).toBe("list");
    terminal.say("seven components");
    await second.person.sees("seven components");
    expect(second.person.screen).toEqual(["tikv1 does not answer", "seven components"]);
  });

  test("whoever comes later takes over, with everything that was said; the other is told, and asked no more", async () => {
    const { terminal, attach } = await door();
    const answer = terminal.ask("> ", never);
    const first = attach();
    await first.person.asked();
    const second = attach();
    expect(await first.over).toBe("somebody has attached elsewhere");
    await first.person.types("stop everything");
    await second.person.types("look");
    expect(await answer).toBe("look");
  });

  test("Ctrl-D is an answer, and what is said to it is still shown", async () => {
    const { terminal, attach } = await door();
    const { person, over } = attach();
    const answer = terminal.ask("> ", never).then((line) => {
      terminal.say(line === null ? "the work ends" : line);
      return line;
    });
    await person.types(null);
    expect(await answer).toBeNull();
    expect(await over).toBe("you have left");
    expect(person.screen).toEqual(["the work ends"]);
  });

  test("when the agent ends everybody is told, and nobody is awaited; what cannot be asked any more is the signal's reason", async () => {
    const { terminal, attach, stop, path } = await door();
    const { person, over } = attach();
    const limit = new AbortController();
    const answer = terminal.ask("> ", limit.signal);
    await person.asked();
    limit.abort(new Error("the time is over"));
    await expect(answer).rejects.toThrow("the time is over");
    stop.abort(new Error("the work is done"));
    expect(await over).toBe("the agent has ended");
    await expect(attachTo(path, () => person.terminal(), never)).rejects.toMatchObject({ code: "not-found" });
  });

  test("one agent a folder; what a killed one has left behind is no agent", async () => {
    const { folder, stop, path } = await door();
    await expect(openTerminalDoor(folder, silentLog, stop.signal)).rejects.toThrow(/another agent/);
    const elsewhere = await mkdtemp(join(tmpdir(), "doors-"));
    onTestFinished(() => rm(elsewhere, { recursive: true, force: true }));
    await symlink(`${path}-gone`, join(elsewhere, TERMINAL_SOCKET));
    await expect(openTerminalDoor(elsewhere, silentLog, stop.signal)).resolves.toBeTypeOf("function");
  });
});
