/** Sizes and durations as TiKV's configuration writes them (tikv/tikv:components/tikv_util/src/config.rs). */

const SIZE_UNITS: Readonly<Record<string, number>> = { B: 0, K: 1, M: 2, G: 3, T: 4, P: 5 };
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;
const TIME_UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** `10GB`, `512MiB`, `5K`, `0`: always powers of 1024. Null when it is none. */
export function sizeBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(?:B|([KMGTP])(?:i?B)?)?$/i.exec(text.trim());
  if (match === null) return null;
  return Math.floor(Number(match[1]) * 1024 ** (SIZE_UNITS[(match[2] ?? "B").toUpperCase()] ?? 0));
}

/** The largest unit that divides it: 5368709120 = `5GiB`; 0 = `0KiB`. */
export function sizeText(bytes: number): string {
  if (bytes === 0) return "0KiB";
  let power = 0;
  for (; power < BINARY.length - 1 && bytes % 1024 ** (power + 1) === 0;) power++;
  return `${bytes / 1024 ** power}${BINARY[power]}`;
}

/** `1h30m`, `300ms`, `10.5s`: units once each, from large to small. Null when it is none. */
export function durationMs(text: string): number | null {
  const match = /^(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?$/.exec(text.trim());
  if (match === null || text.trim() === "") return null;
  const total = TIME_UNITS.reduce((sum, [, unit], at) => sum + Number(match[at + 1] ?? "0") * unit, 0);
  return Number.isFinite(total) ? Math.round(total) : null;
}

export function durationText(ms: number): string {
  if (ms === 0) return "0s";
  let left = ms;
  let text = "";
  for (const [name, unit] of TIME_UNITS) {
    const whole = Math.floor(left / unit);
    if (whole > 0) text += `${whole}${name}`;
    left -= whole * unit;
  }
  return text;
}
