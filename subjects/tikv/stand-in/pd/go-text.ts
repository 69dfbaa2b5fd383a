import { stringify } from "lossless-json";

/** As PD renders: two spaces, a newline at the end. `bigint` becomes a plain number of any size. */
export function prettyJson(value: unknown): string {
  return `${stringify(value, null, 2) ?? "null"}\n`;
}

/** As PD writes regions: no white space at all. */
export function compactJson(value: unknown): string {
  return stringify(value) ?? "null";
}

/** Go's `time.Duration.String()`, e.g. `10m0s`, `1h2m3.4s`, `50ms`. */
export function durationText(ms: number): string {
  if (ms === 0) return "0s";
  if (Math.abs(ms) < 1_000) return `${ms}ms`;
  const sign = ms < 0 ? "-" : "";
  const all = Math.abs(ms);
  const [hours, minutes] = [Math.floor(all / 3_600_000), Math.floor(all / 60_000) % 60];
  const seconds = Math.round(all % 60_000) / 1_000;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration; null when it is none. */
export function parseDuration(text: string): number | null {
  if (text === "0") return 0;
  if (!/^[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$/u.test(text)) return null;
  const parts = text.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/gu);
  const ms = [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ""] ?? 0), 0);
  return text.startsWith("-") ? -ms : ms;
}

/** `docker/go-units` as PD uses it for sizes: `252GiB`, `16MiB`, four significant digits. */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let [size, unit] = [bytes, 0];
  while (size >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${Number(size.toPrecision(4))}${units[unit]}`;
}

/** RFC 3339 as Go writes it: no fraction when it is zero. */
export function timeText(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.?0*Z$/, "Z");
}

/** `2026-11-21 09:19:18.558 +0000 UTC m=+127.642`: Go's `time.Time.String()`; `monoMs` counts from the process' start. */
export function longTimeText(epochMs: number, monoMs: number): string {
  const wall = new Date(epochMs).toISOString().replace("T", " ").replace("Z", "");
  return `${wall} +0000 UTC m=+${(monoMs / 1_000).toFixed(9)}`;
}
