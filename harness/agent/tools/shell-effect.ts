import type { Effect } from "../../protocol.ts";
import { execEffect } from "../../control/exec-effect.ts";

const ANY = /^/;
const FLAGS_ALONE = /^-[A-Za-z]+$/;

/** Filters that write nothing and start nothing with such arguments; what `execEffect` lists comes on top. */
const FILTERS: Readonly<Record<string, RegExp>> = {
  // Not `-o`, which writes, nor `--compress-program`, which starts one.
  sort: /^-[bdfghnrRuVz]+$|^-[kt][^-]*$|^[^-]/,
  // With a second operand it writes there.
  uniq: FLAGS_ALONE,
  cut: ANY,
  tr: ANY,
  nl: ANY,
  rev: ANY,
  tac: ANY,
  echo: ANY,
  true: ANY,
};

/** One word: bare, or in quotes within which the shell reads nothing. */
const WORD = /(?:[A-Za-z0-9_./:=@%+,^-]+|'[^'\n]*'|"[^"\\$`!\n]*")+/y;

/**
 * What a line of shell does. Only a pipeline of programs that are known to read, with plain or quoted words, is a read:
 * no variable, substitution, redirection, list, glob or assignment, so that what is judged is what runs. Everything else
 * is destructive.
 */
export function shellEffect(line: string): Effect {
  const commands = pipeline(line.trim());
  return commands !== null && commands.every(reads) ? "read" : "destructive";
}

/** The argv of each command between bars; null = something else stands in the line. */
function pipeline(line: string): readonly (readonly string[])[] | null {
  const commands: string[][] = [[]];
  for (let at = 0; at < line.length;) {
    const character = line[at] ?? "";
    if (character === " ") at++;
    else if (character === "|") {
      // `||` is a list, `|&` joins errors.
      if ((commands.at(-1) ?? []).length === 0 || /[|&]/.test(line[at + 1] ?? "")) return null;
      commands.push([]);
      at++;
    } else {
      WORD.lastIndex = at;
      const word = WORD.exec(line)?.[0];
      if (word === undefined) return null;
      at += word.length;
      commands.at(-1)?.push(word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double));
    }
  }
  return commands.every((argv) => argv.length > 0) ? commands : null;
}

function reads(argv: readonly string[]): boolean {
  const [program = "", ...args] = argv;
  // `A=b program` sets a variable first, and a program of somebody's own may have any name.
  if (!/^(\/usr)?(\/s?bin\/)?[a-z][a-z0-9._-]*$/.test(program)) return false;
  const name = program.split("/").at(-1) ?? "";
  const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  return filter === undefined ? execEffect(argv) === "read" : args.every((arg) => filter.test(arg));
}
