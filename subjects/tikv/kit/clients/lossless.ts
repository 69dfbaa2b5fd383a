import { isInteger, isSafeNumber, parse } from "lossless-json";
import { z } from "zod";

/**
 * JSON with 64-bit numbers kept: an integer that a double cannot hold becomes a string of its digits.
 *
 * @throws SyntaxError when it is not JSON.
 */
export function parseLossless(text: string): unknown {
  return parse(text, null, {
    parseNumber: (digits) => (isInteger(digits) && !isSafeNumber(digits) ? digits : Number(digits)),
  });
}

/** An id, small or 64 bits wide: always a string of digits. */
export const idSchema = z.union([z.number(), z.string()]).transform(String);
