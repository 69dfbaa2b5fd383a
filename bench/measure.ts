/** One figure of a bench. Figures of one run compare with each other, not with those of another machine. */
export interface Measure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}
