import { z } from "zod";
import type { Tool } from "../../../protocol.ts";
import type { Terminal } from "./terminal.ts";

/** `submit_diagnosis` as a form; null when the person thought better of it, or left. */
export async function submitForm(
  tool: Tool,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Record<string, unknown> | null> {
  terminal.say("an empty answer goes back to the prompt; ? explains");
  const ask = async (question: string, check: (text: string) => unknown, help: string): Promise<unknown> => {
    for (;;) {
      const text = (await terminal.ask(question, signal))?.trim();
      if (text === undefined || text === "") return null;
      if (text === "?") {
        terminal.say(help);
        continue;
      }
      try {
        return check(text);
      } catch (error) {
        terminal.say(error instanceof z.ZodError ? z.prettifyError(error) : String(error));
      }
    }
  };
  const { shape } = tool.input as unknown as { readonly shape: Readonly<Record<string, z.ZodType>> };
  const field = (name: string) => shape[name] ?? z.string();
  const help = (name: string) => field(name).description ?? name;
  const texts = (name: string, separator: string) => (text: string) =>
    field(name).parse(
      text === "-"
        ? []
        : text
            .split(separator)
            .map((part) => part.trim())
            .filter((part) => part !== ""),
    );
  const text = (name: string) => (given: string) => field(name).parse(given);
  const input: Record<string, unknown> = {};
  const questions: readonly (readonly [string, string, (text: string) => unknown])[] = [
    ["cause", "cause: ", text("cause")],
    ["components", "components, with commas, - for none: ", texts("components", ",")],
    ["explanation", "explanation: ", text("explanation")],
    ["evidence", "evidence, with semicolons: ", texts("evidence", ";")],
    ["done", 'what was changed, or "nothing": ', text("done")],
    ["ending", "resolved, no-fault or escalated: ", text("ending")],
  ];
  for (const [name, question, check] of questions) {
    const value = await ask(question, check, help(name));
    if (value === null) return null;
    input[name] = value;
  }
  return { ...input, reason: "submitted by hand, with the form" };
}
