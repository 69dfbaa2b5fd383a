import type { Clock, EpochMs } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { Log } from "../../../../harness/base/log.ts";
import type { Storage } from "../storage.ts";
import { AlertingRule } from "./alerting-rule.ts";
import { RecordingRule } from "./recording-rule.ts";
import type { GroupSpec, RuleSpec } from "./rule-file.ts";
import type { RuleDeps, RuleHealth } from "./rule.ts";

export interface GroupDeps extends RuleDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly storage: Storage;
  /** For groups that name no interval of their own. */
  readonly intervalMs: number;
}

export interface RunningRule {
  readonly rule: AlertingRule | RecordingRule;
  readonly health: RuleHealth;
}

interface Entry {
  readonly rule: AlertingRule | RecordingRule;
  health: RuleHealth;
  /** Keys of the series of the last evaluation: what is no longer there is marked stale. */
  series: ReadonlySet<string>;
}

/** Rules that are evaluated one after the other, at each interval (rules/group.go). */
export class RuleGroup {
  readonly spec: GroupSpec;
  readonly intervalMs: number;
  readonly #deps: GroupDeps;
  readonly #entries: readonly Entry[];
  #evaluationSeconds = 0;
  #lastEvaluation: EpochMs | null = null;

  constructor(spec: GroupSpec, deps: GroupDeps) {
    this.spec = spec;
    this.intervalMs = spec.intervalMs ?? deps.intervalMs;
    this.#deps = deps;
    this.#entries = spec.rules.map((rule) => ({ rule: ruleOf(rule, deps), health: NEVER, series: new Set() }));
  }

  get rules(): readonly RunningRule[] {
    return this.#entries;
  }

  get evaluationSeconds(): number {
    return this.#evaluationSeconds;
  }

  get lastEvaluation(): EpochMs | null {
    return this.#lastEvaluation;
  }

  /** Until the signal aborts. Evaluations lie at whole multiples of the interval plus an offset of the group's own. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const offset = hashOf(`${this.spec.file};${this.spec.name}`) % this.intervalMs;
    let last = -Infinity;
    while (!signal.aborted) {
      const now = clock.now();
      const next = Math.max(this.#nextAfter(now, offset), last + this.intervalMs) as EpochMs;
      await clock.sleep(next - now, signal).catch(() => {});
      if (signal.aborted) return;
      this.evaluate(next);
      last = next;
      // What was missed while the process slept is not made up for.
      while (last + this.intervalMs < clock.now()) last += this.intervalMs;
    }
  }

  /** Every rule once. A rule that fails says so in its health, and keeps what it had. */
  evaluate(atMs: EpochMs): void {
    const { clock } = this.#deps;
    const began = clock.monotonic();
    for (const entry of this.#entries) this.#evaluateOne(entry, atMs);
    this.#lastEvaluation = atMs;
    this.#evaluationSeconds = (clock.monotonic() - began) / 1_000;
  }

  #evaluateOne(entry: Entry, atMs: EpochMs): void {
    const { clock, storage, log } = this.#deps;
    const [startedAt, began] = [clock.now(), clock.monotonic()];
    const sampleMs = (atMs - this.spec.offsetMs) as EpochMs;
    let [health, lastError]: ["ok" | "err", string] = ["ok", ""];
    try {
      const samples = entry.rule.evaluate(sampleMs, this.spec.limit);
      const series = new Set(samples.map(({ labels, value }) => storage.append(labels, sampleMs, value).key));
      for (const key of entry.series) if (!series.has(key)) storage.markStale(key, sampleMs);
      entry.series = series;
    } catch (error) {
      [health, lastError] = ["err", errorText(error)];
      log.warn("Evaluating rule failed", { group: this.spec.name, rule: entry.rule.spec.name, err: lastError });
    }
    const evaluationSeconds = (clock.monotonic() - began) / 1_000;
    entry.health = { health, lastError, evaluationSeconds, lastEvaluation: startedAt };
  }

  #nextAfter(now: EpochMs, offset: number): EpochMs {
    const passed = Math.floor((now - offset) / this.intervalMs) * this.intervalMs + offset;
    return (passed === now ? now : passed + this.intervalMs) as EpochMs;
  }
}

const NEVER: RuleHealth = { health: "unknown", lastError: "", evaluationSeconds: 0, lastEvaluation: null };

function ruleOf(spec: RuleSpec, deps: RuleDeps): AlertingRule | RecordingRule {
  return spec.kind === "alerting" ? new AlertingRule(spec, deps) : new RecordingRule(spec, deps);
}

/** FNV-1a: groups are spread over their interval. */
function hashOf(text: string): number {
  let hash = 2_166_136_261;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
  return hash;
}
