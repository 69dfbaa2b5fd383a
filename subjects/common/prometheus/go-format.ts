/** Numbers as Go prints them: what labels, annotations and the HTTP API show. */

function special(value: number): string | null {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? null : value > 0 ? "+Inf" : "-Inf";
}

/** JavaScript rounds halves up, Go to the even digit. `more` is the number with 25 more digits: enough to see a half. */
function halfToEven(rounded: string, more: string): string {
  const [, kept = "", last = ""] = /^(.*(\d))\.?50{24}$/.exec(more) ?? [];
  return kept !== "" && Number(last) % 2 === 0 ? kept : rounded;
}
const MORE_DIGITS = 25;

/** `%.<digits>f` of a finite number. */
export function formatDecimals(value: number, digits: number): string {
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const size = Math.abs(value);
  // `toFixed` ends there; such numbers are whole.
  if (size >= 1e21) return formatFixed(value) + (digits > 0 ? `.${"0".repeat(digits)}` : "");
  return sign + halfToEven(size.toFixed(digits), size.toFixed(digits + MORE_DIGITS));
}

/** Shortest digits that give the value back (or `digits` of them), and the exponent of the first one. */
function decimal(value: number, digits?: number): { sign: string; digits: string; exponent: number } {
  const size = Math.abs(value);
  const [mantissa = "", exponent = "0"] = (
    digits === undefined ? size.toExponential() : size.toExponential(digits - 1)
  ).split("e");
  const exact = digits === undefined ? mantissa : (size.toExponential(digits - 1 + MORE_DIGITS).split("e")[0] ?? "");
  const rounded = digits === undefined || mantissa.startsWith("10") ? mantissa : halfToEven(mantissa, exact);
  return {
    sign: value < 0 || Object.is(value, -0) ? "-" : "",
    digits: rounded.replace(".", ""),
    exponent: Number(exponent),
  };
}

function scientific(sign: string, digits: string, exponent: number): string {
  const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits;
  const magnitude = String(Math.abs(exponent)).padStart(2, "0");
  return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${magnitude}`;
}

function positional(sign: string, digits: string, exponent: number): string {
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, "0");
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

/** `strconv.FormatFloat(value, 'f', -1, 64)`: never an exponent. Labels of `count_values`. */
export function formatFixed(value: number): string {
  const { sign, digits, exponent } = decimal(value);
  return special(value) ?? positional(sign, digits, exponent);
}

/** `strconv.FormatFloat(value, 'e', -1, 64)`: values of alerts. */
export function formatScientific(value: number, precision?: number): string {
  const { sign, digits, exponent } = decimal(value, precision === undefined ? undefined : precision + 1);
  return special(value) ?? scientific(sign, digits, exponent);
}

/** `%v` of a float, and `%.<precision>g`. */
export function formatGeneral(value: number, precision?: number): string {
  const text = special(value);
  if (text !== null) return text;
  const { sign, digits, exponent } = decimal(value, precision === undefined ? undefined : Math.max(1, precision));
  // `strconv`: without a precision, six digits decide.
  const limit = precision === undefined ? 6 : Math.max(1, precision);
  const kept = digits.replace(/0+$/, "") || "0";
  return exponent < -4 || exponent >= limit ? scientific(sign, kept, exponent) : positional(sign, kept, exponent);
}

/** Sample values in the HTTP API (util/jsonutil: `MarshalFloat`): an exponent below 1e-6 and from 1e21 on. */
export function formatSample(value: number): string {
  const text = special(value);
  if (text !== null) return text;
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-6 || size >= 1e21) ? formatScientific(value) : formatFixed(value);
}
