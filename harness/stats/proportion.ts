export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * The exact interval for a rate (Clopper and Pearson, Biometrika 26, 1934): covers the true rate at least as often as
 * `confidence` says, also for few trials and for 0 or all successes.
 *
 * @throws RangeError unless 0 <= successes <= trials, trials > 0, 0 < confidence < 1.
 */
export function exactInterval(successes: number, trials: number, confidence = 0.95): Interval {
  check(successes, trials, confidence);
  const tail = (1 - confidence) / 2;
  // The tail probabilities are monotonic in the rate, so halving finds the bounds; 60 steps exhaust a double.
  const atLeast = (rate: number) => 1 - binomialCdf(successes - 1, trials, rate);
  const atMost = (rate: number) => binomialCdf(successes, trials, rate);
  return {
    low: successes === 0 ? 0 : bisect((rate) => atLeast(rate) < tail),
    high: successes === trials ? 1 : bisect((rate) => atMost(rate) > tail),
  };
}

/**
 * Wilson's score interval (Journal of the American Statistical Association 22, 1927): narrower than the exact one, right
 * on average. For display.
 *
 * @throws RangeError as `exactInterval`; confidence may be 0.9, 0.95 or 0.99.
 */
export function wilsonInterval(successes: number, trials: number, confidence: 0.9 | 0.95 | 0.99 = 0.95): Interval {
  check(successes, trials, confidence);
  const z = { 0.9: 1.6448536269514722, 0.95: 1.959963984540054, 0.99: 2.5758293035489004 }[confidence];
  const rate = successes / trials;
  const spread = z * Math.sqrt((rate * (1 - rate)) / trials + (z * z) / (4 * trials * trials));
  const centre = rate + (z * z) / (2 * trials);
  const scale = 1 + (z * z) / trials;
  return { low: Math.max(0, (centre - spread) / scale), high: Math.min(1, (centre + spread) / scale) };
}

function check(successes: number, trials: number, confidence: number): void {
  const counts = Number.isInteger(successes) && Number.isInteger(trials) && trials > 0;
  if (!counts || successes < 0 || successes > trials) throw new RangeError(`${successes} of ${trials} is not a rate`);
  if (!(confidence > 0 && confidence < 1)) throw new RangeError(`confidence ${confidence} is not within (0, 1)`);
}

/** P(X <= k) of a binomial, by its terms in logarithms so that thousands of trials do not underflow. */
function binomialCdf(k: number, n: number, rate: number): number {
  if (k < 0) return 0;
  if (rate <= 0) return 1;
  if (rate >= 1) return k >= n ? 1 : 0;
  let logTerm = n * Math.log1p(-rate);
  const odds = Math.log(rate) - Math.log1p(-rate);
  let sum = Math.exp(logTerm);
  for (let i = 1; i <= k; i++) {
    logTerm += Math.log((n - i + 1) / i) + odds;
    sum += Math.exp(logTerm);
  }
  return Math.min(1, sum);
}

/** Largest rate for which `below` still holds, `below` being true first and false from some rate on. */
function bisect(below: (rate: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (below(middle)) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
