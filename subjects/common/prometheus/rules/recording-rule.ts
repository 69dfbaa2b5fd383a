import type { EpochMs } from "../../../../harness/base/clock.ts";
import { changed, labelKey, NAME } from "../labels.ts";
import type { InstantSample } from "../promql/value.ts";
import type { RecordingSpec } from "./rule-file.ts";
import type { RuleDeps } from "./rule.ts";

/** The result of an expression under a name of its own (rules/recording.go). */
export class RecordingRule {
  readonly spec: RecordingSpec;
  readonly #deps: RuleDeps;

  constructor(spec: RecordingSpec, deps: RuleDeps) {
    this.spec = spec;
    this.#deps = deps;
  }

  /** @returns the samples to store. @throws QueryError, or Error when labels collide or the limit is passed */
  evaluate(atMs: EpochMs, limit: number): readonly InstantSample[] {
    const { name, labels, expr } = this.spec;
    const found = this.#deps.query(expr, atMs);
    const samples = found.map((sample) => ({
      labels: changed(sample.labels, { [NAME]: name, ...labels }),
      value: sample.value,
    }));
    if (new Set(samples.map((sample) => labelKey(sample.labels))).size < samples.length)
      throw new Error("vector contains metrics with the same labelset after applying rule labels");
    if (limit > 0 && samples.length > limit)
      throw new Error(`exceeded limit of ${limit} with ${samples.length} series`);
    return samples;
  }
}
