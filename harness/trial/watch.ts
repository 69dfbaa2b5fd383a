import { HarnessError } from "../base/errors.ts";
import type { Component, Deps, Scenario, SubjectInstance, TrialHappening, Workload } from "../protocol.ts";
import type { JudgementsNow } from "./hypothesis.ts";
import type { Recorder } from "./recorder.ts";
import { Sampler } from "./sampler.ts";

const LEADERS_TIMEOUT_MS = 400;
/** So many looks in a row: an engine that restarts answers again before. */
const LOST_AFTER = 6;

/** Samples the hypothesis into the record from the first fault to the end of watching. */
export function watchHypothesis(
  { hypothesis, limits }: Scenario,
  run: Recorder,
  workload: Workload,
  judgements: JudgementsNow,
  { clock }: Deps,
): Sampler {
  const announce = edges(run);
  return new Sampler(hypothesis, { workload, judgements, clock }, (sample) => {
    if (!run.counting || run.record.marks.horizonMs !== null) return;
    const held = [...sample.held];
    run.record.samples.push({ atMs: Math.round(run.sinceMs(sample.monotonicMs)), held });
    announce(
      held.every((one) => one === true),
      limits.stableMs,
    );
  });
}

/** Tells people when it recovers and when that has lasted. */
function edges(run: Recorder): (held: boolean, stableMs: number) => void {
  let brokeOnce = false;
  let sinceMs: number | null = null;
  let told: TrialHappening["type"] | null = null;
  return (held, stableMs) => {
    if (!held) [brokeOnce, sinceMs, told] = [true, null, null];
    else sinceMs ??= run.sinceMs();
    if (!brokeOnce || sinceMs === null) return;
    if (told === null) run.emit({ type: (told = "recovered") });
    else if (told === "recovered" && run.sinceMs() - sinceMs >= stableMs) run.emit({ type: (told = "stable") });
  };
}

/**
 * Twice a second, for people: node states and what clients see. `lost` is called when the engine itself has gone: without
 * it nobody can break, repair or judge anything.
 */
export function watchCluster(
  instance: SubjectInstance,
  workload: Workload,
  run: Recorder,
  { clock }: Deps,
  lost: (error: unknown) => void,
): AsyncDisposable {
  const stop = new AbortController();
  let leaders: ReadonlyMap<Component, number> | null = null;
  let unreachable = 0;
  const done = (async () => {
    while (!stop.signal.aborted) {
      try {
        const states = await instance.engine.list(stop.signal);
        unreachable = 0;
        leaders = (await knownLeaders(instance, stop.signal)) ?? leaders;
        const nodes = states.map(({ component, status, networks }) => ({
          component,
          status: status === "running" && networks.length === 0 ? "no network" : status,
          leaders: leaders?.get(component) ?? null,
        }));
        run.emit({ type: "cluster", nodes });
        const { okRatio, p99Ms, operations, windowMs } = await workload.window(1_000, stop.signal);
        run.emit({ type: "clients", okRatio, p99Ms, perSecond: (operations * 1000) / windowMs });
      } catch (error) {
        // Otherwise a picture that cannot be drawn is left out; what is wrong shows in the monitor and the record.
        if (error instanceof HarnessError && error.code === "engine-unreachable" && ++unreachable === LOST_AFTER)
          lost(error);
      }
      await clock.sleep(500, stop.signal).catch(() => {});
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

/** While PD is between leaders the last picture stays. */
async function knownLeaders(
  instance: SubjectInstance,
  signal: AbortSignal,
): Promise<ReadonlyMap<Component, number> | null> {
  try {
    return (await instance.leaders?.(AbortSignal.any([signal, AbortSignal.timeout(LEADERS_TIMEOUT_MS)]))) ?? null;
  } catch {
    return null;
  }
}
