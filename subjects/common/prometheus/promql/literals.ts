import { parseDuration } from "../duration.ts";
import { parseFloatText } from "../text-format.ts";
import { QueryError } from "./errors.ts";

/** A number, or a duration in seconds (`5m` is 300). @throws QueryError */
export function parseNumber(text: string): number {
  const plain = text.replaceAll("_", "");
  const value = parseFloatText(plain) ?? octal(plain);
  if (value !== null) return value;
  const sign = plain.startsWith("-") ? -1 : 1;
  const ms = parseDuration(plain.replace(/^[+-]/, ""));
  if (ms === null)
    throw new QueryError("bad_data", `parse error: bad number or duration syntax: ${JSON.stringify(text)}`);
  return (sign * ms) / 1_000;
}

/** Go's integers with a leading zero are octal. */
function octal(text: string): number | null {
  return /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : null;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** Text between Go's quotes: `'…'` and `"…"` with escapes, backquotes raw. */
export function parseString(text: string): string {
  const body = text.slice(1, -1);
  if (text.startsWith("`")) return body;
  return body.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/g,
    (_, x?: string, u?: string, long?: string, octalDigits?: string, plain = "") => {
      const hex = x ?? u ?? long;
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      if (octalDigits !== undefined) return String.fromCodePoint(Number.parseInt(octalDigits, 8));
      const known = ESCAPES[plain] ?? (`\\'"`.includes(plain) ? plain : undefined);
      if (known === undefined) throw new QueryError("bad_data", `parse error: unknown escape sequence '\\${plain}'`);
      return known;
    },
  );
}
