/** With linear interpolation between neighbours, as Prometheus' `quantile`; NaN sorts below everything. */
export function quantileOf(q: number, values: Float64Array): number {
  if (values.length === 0 || Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  // Typed arrays sort NaN last.
  const sorted = values.toSorted();
  const nans = sorted.length - sorted.findLastIndex((value) => !Number.isNaN(value)) - 1;
  const at = (index: number) => (index < nans ? NaN : (sorted[index - nans] as number));
  const rank = q * (sorted.length - 1);
  const lower = Math.max(0, Math.floor(rank));
  const upper = Math.min(sorted.length - 1, lower + 1);
  const weight = rank - Math.floor(rank);
  return at(lower) * (1 - weight) + at(upper) * weight;
}
