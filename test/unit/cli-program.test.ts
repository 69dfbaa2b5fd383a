import { readFileSync } from "node:fs";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { HarnessError } from "../../harness/base/errors.ts";
import { COMMANDS, type CommandEntry } from "../../harness/cli/commands.ts";
import { EXIT } from "../../harness/cli/exit-codes.ts";
import type { CliIo } from "../../harness/cli/io.ts";
import { onInterrupt } from "../../harness/cli/interrupts.ts";
import { lab } from "../support/cli.ts";
import { ManualClock } from "../support/manual-clock.ts";

const failing = (error: unknown): CommandEntry => ({
  name: "fail",
  summary: "fails",
  load: async () =>
    new Command("fail").option("--hard", "harder").action(() => {
      throw error;
    }),
});

describe("the command line", () => {
  test("--help lists every command without loading one", async () => {
    const commands = COMMANDS.map((entry) => ({
      ...entry,
      load: () => Promise.reject(new Error(`loaded ${entry.name}`)),
    }));
    const { code, out } = await lab(["--help"], { commands });
    expect(code).toBe(0);
    for (const { name, summary } of COMMANDS) expect(out.replaceAll(/\s+/g, " ")).toContain(`${name} ${summary}`);
  });

  test("every command takes --json, but the two whose output is the agent's own JSON lines", async () => {
    const io = { cwd: "/", env: {} } as CliIo;
    const leaves = (command: Command, path: string): (readonly [string, Command])[] =>
      command.commands.length === 0
        ? [[path, command]]
        : command.commands.flatMap((inner) => leaves(inner, `${path} ${inner.name()}`));
    const all = await Promise.all(COMMANDS.map(async ({ name, load }) => leaves(await load(io), name)));
    const without = all.flat().filter(([, command]) => !command.options.some(({ long }) => long === "--json"));
    expect(without.map(([path]) => path)).toEqual(["agent start", "agent attach", "agent logs"]);
    // Reads every program of the lab: five seconds are too few on a busy machine.
  }, 60_000);

  test("--version", async () => expect(await lab(["--version"])).toEqual({ code: 0, out: "1.2.3\n", err: "" }));

  test.each([
    [["tickt"], /unknown command 'tickt'\n\(Did you mean ticket\?\)/],
    [["ticket", "lst"], /unknown command 'lst'\n\(Did you mean list\?\)/],
    [["ticket", "list", "--jsn"], /unknown option '--jsn'\n\(Did you mean --json\?\)/],
    [["ticket", "create", "--message", "x"], /required option '--invariant <name>' not specified/],
    [["ticket", "show", "x"], /a ticket's number, e.g. 3/],
    [["watchdog", "run", "--deployment", "../../x"], /must be letters, digits, dots, dashes and underscores/],
    [["ticket", "list", "--status", "shut"], /Allowed choices are open, acknowledged, diagnosed, resolved/],
  ])("%j is refused with a sentence and code 2", async (args, sentence) => {
    const { code, out, err } = await lab(args);
    expect([code, out]).toEqual([EXIT.usage, ""]);
    expect(err).toMatch(/^error: /);
    expect(err).toMatch(sentence);
  });

  test("an error of ours is one sentence; a defect asks to be reported, with its stack", async () => {
    const known = await lab(["fail"], { commands: [failing(new HarnessError("port-taken", "port 2379 is taken"))] });
    expect(known).toEqual({ code: EXIT.environment, out: "", err: "error: port 2379 is taken\n" });
    const defect = await lab(["fail"], { commands: [failing(new TypeError("x is not a function"))] });
    expect(defect.code).toBe(EXIT.internal);
    expect(defect.err).toMatch(/^error: x is not a function\nThis is a defect of the lab itself/);
    expect(defect.err).toContain("at ");
  });
});

test("docs/exit-codes.md lists the exit codes that there are", () => {
  const page = readFileSync(new URL("../../docs/exit-codes.md", import.meta.url), "utf8");
  const listed = [...page.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
  expect(listed).toEqual(Object.values(EXIT));
});

describe("interrupts", () => {
  function terminal() {
    const handlers = new Map<string, (name: string) => void>();
    const clock = new ManualClock();
    let forced = 0;
    const process = {
      on: (name: string, handler: (name: string) => void) => handlers.set(name, handler),
      off: (name: string) => handlers.delete(name),
    };
    const interrupts = onInterrupt(process as never, clock, () => forced++);
    return {
      clock,
      handlers,
      interrupts,
      press: (name = "SIGINT") => handlers.get(name)?.(name),
      forced: () => forced,
    };
  }

  test("the first aborts with a reason; a second within 500 ms is the same one; a later one forces", async () => {
    const { clock, interrupts, press, forced } = terminal();
    press();
    expect(interrupts.signal.reason).toMatchObject({ code: "interrupted", message: "interrupted by SIGINT" });
    await clock.advance(500);
    press();
    expect(forced()).toBe(0);
    await clock.advance(1);
    press("SIGTERM");
    expect(forced()).toBe(1);
  });

  test("nothing stays behind when it is disposed", () => {
    const { handlers, interrupts } = terminal();
    interrupts[Symbol.dispose]();
    expect(handlers.size).toBe(0);
  });
});
