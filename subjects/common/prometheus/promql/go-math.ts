/** Go's `math` where JavaScript's differs in more than the last digit. */

/** `math.Pow`: 1 to any power is 1, and so is -1 to an infinite one. */
export function pow(x: number, y: number): number {
  if (x === 1 || (x === -1 && Math.abs(y) === Infinity)) return 1;
  return x ** y;
}

/** `math.Max`: plus infinity is the most, whatever the other is; else one that is undefined makes it undefined. */
export function max(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : Math.max(a, b);
}

/** `math.Min`: as `max`, the other way round. */
export function min(a: number, b: number): number {
  return a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b);
}

/** `math.Log2` by way of the exponent: exact for powers of two. */
export function log2(x: number): number {
  if (!(x > 0) || x === Infinity) return Math.log2(x);
  let [fraction, exponent] = [x, 0];
  if (fraction < 2 ** -1022) [fraction, exponent] = [fraction * 2 ** 52, -52];
  const shift = Math.floor(Math.log2(fraction)) + 1;
  fraction /= 2 ** Math.trunc(shift / 2);
  fraction /= 2 ** (shift - Math.trunc(shift / 2));
  exponent += shift;
  while (fraction >= 1) [fraction, exponent] = [fraction / 2, exponent + 1];
  while (fraction < 0.5) [fraction, exponent] = [fraction * 2, exponent - 1];
  if (fraction === 0.5) return exponent - 1;
  return Math.log(fraction) * (1 / Math.LN2) + exponent;
}

/** `math.Log10`, which is a scaled `math.Log2` there. */
export function log10(x: number): number {
  return log2(x) * (Math.LN2 / Math.LN10);
}

/** One more summand with Neumaier's compensation: `kahanSumInc` of promql/functions.go. */
export class KahanSum {
  sum: number;
  lost = 0;

  constructor(start = 0) {
    this.sum = start;
  }

  add(value: number): void {
    const next = this.sum + value;
    if (Math.abs(next) === Infinity) this.lost = 0;
    else if (Math.abs(this.sum) >= Math.abs(value)) this.lost += this.sum - next + value;
    else this.lost += value - next + this.sum;
    this.sum = next;
  }

  get total(): number {
    return this.sum + this.lost;
  }
}

/**
 * A mean that sums up as long as the sum is finite, and goes on incrementally from there: `avg` and `avg_over_time` of
 * promql/engine.go and functions.go.
 */
export class Mean {
  #sum: KahanSum;
  #count = 1;
  #incremental = false;

  constructor(first: number) {
    this.#sum = new KahanSum(first);
  }

  add(value: number): void {
    const sum = this.#sum;
    this.#count++;
    if (!this.#incremental) {
      if (Math.abs(sum.sum + value) !== Infinity) return sum.add(value);
      this.#incremental = true;
      sum.sum /= this.#count - 1;
      sum.lost /= this.#count - 1;
    }
    const share = (this.#count - 1) / this.#count;
    sum.sum *= share;
    sum.lost *= share;
    sum.add(value / this.#count);
  }

  get value(): number {
    const { sum, lost, total } = this.#sum;
    return this.#incremental ? total : sum / this.#count + lost / this.#count;
  }
}
