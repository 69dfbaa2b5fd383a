const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};
/** Each unit at most once, from the largest to the smallest, whole numbers: as Prometheus' `model.ParseDuration`. */
const SHAPE = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** `1h30m` in milliseconds; null for anything else. `0` needs no unit. */
export function parseDuration(text: string): number | null {
  if (text === "0") return 0;
  const match = SHAPE.exec(text);
  if (match === null || text === "") return null;
  const units = ["y", "w", "d", "h", "m", "s", "ms"];
  return units.reduce((sum, unit, index) => sum + Number(match[index + 1] ?? 0) * (UNITS[unit] as number), 0);
}

/** What is wrong with a duration that `parseDuration` does not take, in the words of `model.ParseDuration`. */
export function durationFault(text: string): string {
  for (const [, unit = ""] of text.matchAll(/\d+(\D+)/g))
    if (!Object.hasOwn(UNITS, unit)) return `unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`;
  return `not a valid duration string: ${JSON.stringify(text)}`;
}

/**
 * As Prometheus prints durations (`model.Duration`): `15s`, `1h30m`, `200ms`; years and weeks only when nothing is left
 * over, because `90d` reads better than `12w6d`.
 */
export function formatDuration(ms: number): string {
  let rest = Math.trunc(ms);
  if (rest === 0) return "0s";
  let text = "";
  for (const unit of ["y", "w", "d", "h", "m", "s", "ms"]) {
    const size = UNITS[unit] as number;
    if ((unit === "y" || unit === "w") && rest % size !== 0) continue;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
