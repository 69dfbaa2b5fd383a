import { errorText, HarnessError } from "../base/errors.ts";
import { healFault, injectFault } from "../faults/injection.ts";
import type { InjectionJournal, JournalEntry } from "../faults/journal.ts";
import { makeFault } from "../faults/registry.ts";
import type { Component, Deps, Fault, Scenario, SubjectInstance } from "../protocol.ts";
import type { Recorder } from "./recorder.ts";

/** Healing has its own deadline: it must also work after the trial's signal has aborted. */
const HEAL_TIMEOUT_MS = 30_000;

interface Made {
  readonly fault: Fault;
  readonly entry: JournalEntry;
  readonly index: number;
}

/** The faults of one trial: chosen, made, and undone at the latest when this is disposed. */
export class Harm implements AsyncDisposable {
  readonly #instance: SubjectInstance;
  readonly #journal: InjectionJournal;
  readonly #run: Recorder;
  readonly #deps: Deps;
  readonly #made: Made[] = [];

  constructor(instance: SubjectInstance, journal: InjectionJournal, run: Recorder, deps: Deps) {
    this.#instance = instance;
    this.#journal = journal;
    this.#run = run;
    this.#deps = deps;
  }

  /**
   * Chooses the victims by the trial's seed among the components that satisfy each predicate now.
   *
   * @throws HarnessError `not-supported` when a fault cannot be made here; nothing has been changed then.
   */
  async choose(faults: Scenario["faults"], seed: number, signal: AbortSignal): Promise<readonly Chosen[]> {
    const chosen: Chosen[] = [];
    for (const [index, { kind, target, params, atMs }] of faults.entries()) {
      const victim = await chooseComponent(this.#instance, target, this.#deps, `${seed}/${index}`, signal);
      const fault = makeFault({ kind, target: victim, params }, this.#instance.engine, this.#deps);
      const why = await fault.preflight(signal);
      if (why !== null) throw new HarnessError("not-supported", `${kind} is not runnable here: ${why}`);
      if (!this.#instance.owned && !fault.reversible)
        throw new HarnessError("not-ours", `${kind} cannot be undone, so it runs on owned instances only`);
      chosen.push({ fault, victim, params, atMs, kind });
    }
    return chosen;
  }

  /** Makes the chosen faults at their times. Counting starts with the first. @throws FaultError when one did not take. */
  async make(chosen: readonly Chosen[], signal: AbortSignal): Promise<void> {
    this.#run.startCounting();
    for (const { fault, victim, params, atMs, kind } of chosen) {
      const waitMs = atMs - this.#run.sinceMs();
      if (waitMs > 0) await this.#deps.clock.sleep(waitMs, signal);
      const entry = await this.#journal.intend({ kind, target: victim, params });
      const index = this.#run.record.injections.push({
        kind,
        label: fault.label,
        target: victim,
        atMs: Math.round(this.#run.sinceMs()),
        healedByLab: null,
      });
      this.#made.push({ fault, entry, index: index - 1 });
      this.#run.emit({ type: "broke", target: victim, label: fault.label });
      await injectFault(fault, entry, this.#journal, this.#deps, signal);
    }
  }

  /** Undoes what is still there and notes what nobody else had undone. Idempotent. */
  async heal(): Promise<void> {
    const signal = AbortSignal.timeout(HEAL_TIMEOUT_MS);
    for (const { fault, entry, index } of this.#made.splice(0).reverse()) {
      const injection = this.#run.record.injections[index];
      const gone = await fault.verify("gone", signal).catch(() => false);
      if (injection !== undefined) injection.healedByLab = !gone;
      await healFault(fault, entry, this.#journal, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.heal();
    } catch (error) {
      // The journal keeps what is open; the instance is about to be torn down or will be healed by the next start.
      this.#run.record.notes.push(`healing failed: ${errorText(error)}; \`lab heal\` tries again`);
    }
  }
}

export interface Chosen {
  readonly fault: Fault;
  readonly victim: Component;
  readonly params: Readonly<Record<string, number>>;
  readonly atMs: number;
  readonly kind: string;
}

/** By seed among those that satisfy the predicate now. @throws HarnessError when none does. */
export async function chooseComponent(
  instance: SubjectInstance,
  predicate: string,
  { random }: Pick<Deps, "random">,
  purpose: string,
  signal: AbortSignal,
): Promise<Component> {
  const candidates = (await instance.candidates(predicate, signal)).toSorted();
  if (candidates.length === 0)
    throw new HarnessError("subject-failed", `no component satisfies "${predicate}" in the steady state`);
  return random.fork(`target/${purpose}`).pick(candidates);
}
