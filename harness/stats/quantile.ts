/**
 * The smallest value that at least the share `q` of all values does not exceed (nearest rank, no interpolation: every
 * answer is a value that was measured).
 *
 * @throws RangeError when there are no values or `q` is not within [0, 1].
 */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new RangeError("no values");
  if (!(q >= 0 && q <= 1)) throw new RangeError(`quantile ${q} is not within [0, 1]`);
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)] as number;
}
