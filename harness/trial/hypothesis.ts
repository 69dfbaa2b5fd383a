import type { Clock, Judgement, Predicate, Workload } from "../protocol.ts";

/** The monitor's newest judgements by invariant, before grace and clear periods; empty = not judged yet. */
export type JudgementsNow = (invariant: string) => readonly Judgement[];

export interface Sample {
  readonly monotonicMs: number;
  /** In the order of the hypothesis: true held, false violated, null not known. */
  readonly held: readonly (boolean | null)[];
}

export function describePredicate(predicate: Predicate): string {
  switch (predicate.kind) {
    case "client-success":
      return `client success >= ${predicate.atLeast}`;
    case "client-p99":
      return `client p99 <= ${predicate.atMostMs} ms`;
    case "invariant":
      return predicate.name;
  }
}

/** Reads every predicate once. A probe that fails makes its predicate unknown; it never makes it held. */
export async function sampleHypothesis(
  hypothesis: readonly Predicate[],
  sources: { readonly workload: Workload; readonly judgements: JudgementsNow; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Sample> {
  const held = await Promise.all(
    hypothesis.map(async (predicate) => {
      try {
        return await holds(predicate, sources, signal);
      } catch {
        signal.throwIfAborted();
        return null;
      }
    }),
  );
  return { monotonicMs: sources.clock.monotonic(), held };
}

async function holds(
  predicate: Predicate,
  { workload, judgements }: { readonly workload: Workload; readonly judgements: JudgementsNow },
  signal: AbortSignal,
): Promise<boolean | null> {
  switch (predicate.kind) {
    case "client-success": {
      const { okRatio } = await workload.window(predicate.windowMs, signal);
      return okRatio === null ? null : okRatio >= predicate.atLeast;
    }
    case "client-p99": {
      const { p99Ms } = await workload.window(predicate.windowMs, signal);
      return p99Ms === null ? null : p99Ms <= predicate.atMostMs;
    }
    case "invariant": {
      const now = judgements(predicate.name);
      if (now.some((judgement) => judgement.state === "violated")) return false;
      return now.length > 0 && now.every((judgement) => judgement.state === "held") ? true : null;
    }
  }
}
