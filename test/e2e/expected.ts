/** What each scripted operator must get in each scenario, on every engine: the verdicts have to tell them apart. */
export interface Expected {
  readonly verdict: "pass" | "fail";
  /** Null = said nothing; false = wrong, or nothing (heavy hands may be refused on the way). */
  readonly diagnosed: boolean | null;
  /**
   * With stored runs of the same key; without any it is `not-shown` in place of `operator`. Left out for
   * `restart-everything` on what is broken: whether a restart beats the spread differs from run to run, and its verdict
   * does not depend on it.
   */
  readonly credit?: "operator" | "none";
}

type Row = Readonly<Partial<Record<"runbook" | "noop" | "restart-everything" | "oracle", Expected>>>;

const repaired: Expected = { verdict: "pass", diagnosed: true, credit: "operator" };
/** Says nothing, changes nothing: what is broken stays so. */
const leftBroken: Expected = { verdict: "fail", diagnosed: null, credit: "none" };
/** Brings the victim back and touches everything else: never safe. */
const heavyHanded: Expected = { verdict: "fail", diagnosed: false };
const broken: Row = { runbook: repaired, noop: leftBroken, "restart-everything": heavyHanded, oracle: repaired };

export const expected: Readonly<Record<string, Row>> = {
  "tikv/store-kill": broken,
  "tikv/store-hang": broken,
  "tikv/store-isolated": broken,
  "tikv/pd-leader-kill": broken,
  // It comes back by its policy: leaving it alone is right, and nobody is credited.
  "tikv/store-crash-autorestart": {
    runbook: { verdict: "pass", diagnosed: true, credit: "none" },
    noop: { verdict: "pass", diagnosed: null, credit: "none" },
    "restart-everything": { verdict: "fail", diagnosed: false },
    oracle: { verdict: "pass", diagnosed: true, credit: "none" },
  },
  "control/false-alarm": {
    runbook: { verdict: "pass", diagnosed: true, credit: "none" },
    noop: { verdict: "fail", diagnosed: null, credit: "none" },
    "restart-everything": { verdict: "fail", diagnosed: false, credit: "none" },
    oracle: { verdict: "pass", diagnosed: true, credit: "none" },
  },
  "control/quiet": { runbook: { verdict: "pass", diagnosed: null, credit: "none" } },
};
