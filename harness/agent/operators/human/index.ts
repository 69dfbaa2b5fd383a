import type { Operator, OperatorContext, OperatorEnding, OperatorResult, Tool } from "../../../protocol.ts";
import { plain } from "../../../base/plain-text.ts";
import { noUsage } from "../../limits.ts";
import { findTool, parseLine } from "./parse-line.ts";
import { helpText, joinedText, opening, ticketText, toolText } from "./show.ts";
import { submitForm } from "./submit-form.ts";
import type { Terminal } from "./terminal.ts";

/** What stands in the audit trail where a person only looked and gave no reason. */
const LOOKED = "a person looked, without saying why";

/**
 * A person at a terminal, with the incident, briefing, tools, limits and record that every operator has: so that people
 * and programs can be compared. Each call counts as a turn.
 */
export function human(open: () => Terminal): Operator {
  return {
    name: "human",
    scripted: false,
    async work(context, signal) {
      // Between incidents the terminal is nobody's, and Ctrl-C the program's.
      using terminal = open();
      return await new Shift(terminal, context, signal).work();
    },
  };
}

class Shift {
  readonly #terminal: Terminal;
  readonly #context: OperatorContext;
  readonly #signal: AbortSignal;
  #calls = 0;
  #known: number;

  constructor(terminal: Terminal, context: OperatorContext, signal: AbortSignal) {
    this.#terminal = terminal;
    this.#context = context;
    this.#signal = signal;
    this.#known = context.incident.tickets.length;
  }

  async work(): Promise<OperatorResult> {
    const { limits } = this.#context;
    this.#terminal.say(opening(this.#context));
    for (;;) {
      if (this.#calls >= limits.turns)
        return this.#end("limit", `turn limit reached: ${this.#calls} of ${limits.turns} calls`);
      this.#news();
      const line = await this.#terminal.ask("> ", this.#signal);
      if (line === null) return this.#end("failed", "the person left the terminal");
      await this.#react(line.trim());
      const submitted = this.#context.submitted();
      if (submitted !== null) return this.#end(submitted.ending, submitted.explanation);
    }
  }

  async #react(line: string): Promise<void> {
    const [, word = "", rest = ""] = /^(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
    const { tools, briefing, incident } = this.#context;
    switch (word) {
      case "":
        return;
      case "help":
      case "?":
        return this.#terminal.say(this.#help(rest));
      case "brief":
        return this.#terminal.say(plain(briefing));
      case "incident":
        return this.#terminal.say(incident.tickets.map(ticketText).join("\n"));
      case "note":
        return rest === "" ? undefined : this.#context.say(rest);
      case "submit":
        return await this.#submit();
      default: {
        const parsed = parseLine(line, tools);
        if (!parsed.ok) return this.#terminal.say(parsed.why);
        const { tool, input, reason } = parsed;
        const why = reason ?? (await this.#reasonFor(tool, input));
        if (why === null) return;
        return await this.#call(tool.name, { ...input, reason: why });
      }
    }
  }

  #help(name: string): string {
    if (name === "") return helpText(this.#context.tools);
    const tool = findTool(name, this.#context.tools);
    return tool === null ? `there is no tool ${name}` : toolText(tool);
  }

  /** Looking needs no words; whoever changes something says why. Null = back to the prompt. */
  async #reasonFor(tool: Tool, input: Record<string, unknown>): Promise<string | null> {
    const read = tool.input.safeParse({ ...input, reason: LOOKED });
    if (!read.success || tool.effect(read.data) === "read") return LOOKED;
    const why = (await this.#terminal.ask("why (for the record): ", this.#signal))?.trim() ?? "";
    return why === "" ? null : why;
  }

  async #submit(): Promise<void> {
    const tool = this.#context.tools.find(({ name }) => name === "submit_diagnosis");
    const input = tool === undefined ? null : await submitForm(tool, this.#terminal, this.#signal);
    if (input !== null) await this.#call("submit_diagnosis", input);
  }

  async #call(tool: string, input: unknown): Promise<void> {
    this.#calls++;
    const { text, isError } = await this.#context.call(tool, input, this.#signal);
    this.#terminal.say(isError ? `! ${plain(text)}` : plain(text));
  }

  #news(): void {
    const { incident } = this.#context;
    const text = joinedText(incident, this.#known);
    this.#known = incident.tickets.length;
    if (text !== null) this.#terminal.say(text);
  }

  #end(ending: OperatorEnding, reason: string): OperatorResult {
    this.#terminal.say(`\nthe work ends: ${ending} (${plain(reason)})`);
    return { ending, reason, diagnosis: this.#context.submitted(), usage: { ...noUsage, turns: this.#calls } };
  }
}
