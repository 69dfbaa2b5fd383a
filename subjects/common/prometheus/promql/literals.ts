import { parseFloatText } from "../text-format.ts";

/**
 * A number as Go reads it: `strconv.ParseInt` with base 0 (`0x`, `0o`, `0b`, leading zero, underscores), else
 * `ParseFloat`. Null when it is neither.
 */
export function parseNumber(text: string): number | null {
  if (/^0[xX](_?[0-9a-fA-F]+)+$/.test(text)) return integer(text.slice(2), 16);
  if (/^0[oO]?(_?[0-7]+)+$/.test(text)) return integer(text.replace(/^0[oO]?/, ""), 8);
  // Underscores may stand between digits.
  return /(?<!\d)_|_(?!\d)/.test(text) ? null : parseFloatText(text.replaceAll("_", ""));
}

function integer(digits: string, base: number): number | null {
  const plain = digits.replaceAll("_", "");
  const value = BigInt(`${base === 16 ? "0x" : "0o"}${plain}`);
  return value <= 0x7fff_ffff_ffff_ffffn ? Number(value) : base === 8 ? Number(plain) : null;
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

/** Text between Go's quotes: `'…'` and `"…"` with escapes, backquotes raw. `\x` and octal escapes are bytes of UTF-8. */
export function parseString(text: string): string {
  const body = text.slice(1, -1);
  if (text.startsWith("`") || !body.includes("\\")) return body;
  const parts: Buffer[] = [];
  const shape = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))|[^\\]+/gs;
  for (const [plain, byte, short, long, octal, letter] of body.matchAll(shape)) {
    const code = short ?? long;
    if (byte !== undefined) parts.push(Buffer.from([Number.parseInt(byte, 16)]));
    else if (octal !== undefined) parts.push(Buffer.from([Number.parseInt(octal, 8)]));
    else if (code !== undefined) parts.push(Buffer.from(String.fromCodePoint(Number.parseInt(code, 16))));
    else parts.push(Buffer.from(letter === undefined ? plain : (ESCAPES[letter] ?? letter)));
  }
  return Buffer.concat(parts).toString();
}
