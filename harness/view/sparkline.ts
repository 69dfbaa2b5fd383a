const BARS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;

/** The newest `width` values as bars between `min` and `max`; a value that is not known is a dot. */
export function sparkline(values: readonly (number | null)[], width: number, min: number, max: number): string {
  return values
    .slice(-width)
    .map((value) => {
      if (value === null) return "·";
      const share = max <= min ? 0 : Math.min(1, Math.max(0, (value - min) / (max - min)));
      return BARS[Math.round(share * (BARS.length - 1))];
    })
    .join("");
}
