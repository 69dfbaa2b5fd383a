import type { Clock, Predicate, Workload } from "../protocol.ts";
import { sampleHypothesis, type JudgementsNow, type Sample } from "./hypothesis.ts";

/** Often enough to time a recovery to a quarter of a second, seldom enough to cost nothing. */
export const SAMPLE_EVERY_MS = 250;

/** Samples the hypothesis until disposed and lets others wait for it to hold. */
export class Sampler implements AsyncDisposable {
  readonly #hypothesis: readonly Predicate[];
  readonly #sources: { workload: Workload; judgements: JudgementsNow; clock: Clock };
  readonly #onSample: (sample: Sample) => void;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #heldSinceMs: number | null = null;
  #last: Sample | null = null;

  constructor(
    hypothesis: readonly Predicate[],
    sources: { workload: Workload; judgements: JudgementsNow; clock: Clock },
    onSample: (sample: Sample) => void,
  ) {
    this.#hypothesis = hypothesis;
    this.#sources = sources;
    this.#onSample = onSample;
    this.#done = this.#run();
  }

  /** Since when all predicates have held without a break, on the monotonic clock; null = they do not hold. */
  get heldSinceMs(): number | null {
    return this.#heldSinceMs;
  }

  get last(): Sample | null {
    return this.#last;
  }

  /** Forgets how long it has held: used when the question starts anew, e.g. when a fault is made. */
  restart(): void {
    this.#heldSinceMs = null;
  }

  /** True once it has held for `forMs` without a break; false when `withinMs` passed first. */
  async held(options: { forMs: number; withinMs: number }, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#sources;
    const deadline = clock.monotonic() + options.withinMs;
    for (;;) {
      const since = this.#heldSinceMs;
      if (since !== null && clock.monotonic() - since >= options.forMs) return true;
      if (clock.monotonic() >= deadline) return false;
      await clock.sleep(SAMPLE_EVERY_MS / 2, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const sample = await sampleHypothesis(this.#hypothesis, this.#sources, signal);
        this.#last = sample;
        if (sample.held.every((held) => held === true)) this.#heldSinceMs ??= sample.monotonicMs;
        else this.#heldSinceMs = null;
        this.#onSample(sample);
        await this.#sources.clock.sleep(SAMPLE_EVERY_MS, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }
}
