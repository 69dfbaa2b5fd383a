import type { Comparison, Difference, DifferenceKind } from "../../subjects/tikv/check/compare.ts";

/** A difference that is there on purpose. */
export interface Listed {
  /** `state METHOD path`, or what else the comparison is called. */
  readonly where: RegExp;
  readonly kind?: DifferenceKind;
  readonly at?: RegExp;
  readonly why: string;
  /** Why not every run shows it: such an entry may be missing. */
  readonly sometimes?: string;
}

/** Counts what was compared, keeps what differs, and knows which of it was announced. */
export class Differences {
  readonly #listed: readonly Listed[];
  readonly #met = new Set<Listed>();
  readonly unlisted: string[] = [];
  answers = 0;
  differingAnswers = 0;
  leaves = 0;
  differing = 0;

  constructor(listed: readonly Listed[]) {
    this.#listed = listed;
  }

  /** @returns what differs and was not announced, as text */
  take(where: string, { differences, leaves }: Comparison): string[] {
    this.answers++;
    this.leaves += Math.max(1, leaves);
    this.differing += differences.length;
    if (differences.length > 0) this.differingAnswers++;
    const news = differences.filter((difference) => !this.#isListed(where, difference));
    const texts = news.map(({ kind, at, wanted, got }) => `${where}: ${kind} ${at}: wanted ${wanted}; got ${got}`);
    this.unlisted.push(...texts);
    return texts;
  }

  /** Listed differences that did not occur: the list has to shrink. */
  get gone(): string[] {
    return this.#listed
      .filter((entry) => !this.#met.has(entry) && entry.sometimes === undefined)
      .map(({ where, why }) => `${where}: ${why}`);
  }

  get summary(): string {
    const share = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(2)} %`;
    return (
      `${this.answers} answers compared, ${this.differingAnswers} differ (${share(this.differingAnswers, this.answers)}); ` +
      `${this.leaves} leaf keys, ${this.differing} differences (${share(this.differing, this.leaves)})`
    );
  }

  #isListed(where: string, { kind, at }: Difference): boolean {
    const matching = this.#listed.filter(
      (entry) =>
        entry.where.test(where) && (entry.kind ?? kind) === kind && (entry.at === undefined || entry.at.test(at)),
    );
    for (const entry of matching) this.#met.add(entry);
    return matching.length > 0;
  }
}
