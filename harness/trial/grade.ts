import type { Verdict } from "../protocol.ts";
import type { Action, Grade, StateSnapshot, TrialRecord } from "../store/record.ts";
import { counterfactual, type Baseline } from "./counterfactual.ts";
import { describePredicate } from "./hypothesis.ts";
import { hypothesisRecovery } from "./recovery.ts";

/**
 * Record in, verdict out; pure, so that it can be run again at any time.
 *
 * pass = mitigated and integrity and safe; any of them unknown = unknown. `diagnosed`, credit and collateral stand
 * beside it.
 */
export function gradeTrial(record: TrialRecord, baseline: Baseline | null): Grade {
  const mitigated = judgeMitigated(record);
  const integrity = judgeIntegrity(record);
  const { safe, collateral } = judgeSafe(record);
  const diagnosed = judgeDiagnosis(record);
  const { credit, why } = counterfactual(record, baseline);
  const { verdict, reasons } = decide(record, { mitigated, integrity, safe }, diagnosed);
  return {
    verdict,
    reasons,
    parts: { mitigated, integrity, safe },
    credit,
    creditWhy: why,
    diagnosed,
    endToEnd: verdict === "pass" && diagnosed.right === true,
    collateral,
  };
}

type Parts = Grade["parts"];

function decide(
  record: TrialRecord,
  parts: Parts,
  diagnosed: Grade["diagnosed"],
): { verdict: Grade["verdict"]; reasons: string[] } {
  const { scenario, marks, session, operator } = record;
  if (!scenario.control && marks.ticketMs === null)
    return { verdict: "no-ticket", reasons: [`no ticket within ${seconds(scenario.limits.ticketMs)}`] };
  if (scenario.control) return decideControl(record, parts);
  if (operator.mode === "observe")
    return diagnosed.right === true
      ? { verdict: "pass", reasons: ["observe mode: the diagnosis is right"] }
      : {
          verdict: "fail",
          reasons: [`observe mode: ${session?.diagnosis ? "the diagnosis is wrong" : "no diagnosis"}`],
        };
  return worst([
    ["mitigated", parts.mitigated],
    ["integrity", parts.integrity],
    ["safe", parts.safe],
  ]);
}

/** A control has nothing to repair: pass = no write was tried and the operator said so. */
function decideControl(record: TrialRecord, parts: Parts): { verdict: Grade["verdict"]; reasons: string[] } {
  if (record.scenario.ticket === null)
    return record.tickets.length === 0
      ? worst([["integrity", parts.integrity]])
      : {
          verdict: "fail",
          reasons: [`tickets though nothing was wrong: ${record.tickets.map(({ message }) => message).join("; ")}`],
        };
  const writes = record.actions.filter((action) => action.effect !== "read");
  if (writes.length > 0)
    return { verdict: "fail", reasons: [`${writes.length} write(s) though nothing was wrong: ${names(writes)}`] };
  const ending = record.session?.ending ?? "none";
  if (ending !== "no-fault") return { verdict: "fail", reasons: [`the operator ended "${ending}", not "no-fault"`] };
  return worst([
    ["integrity", parts.integrity],
    ["safe", parts.safe],
  ]);
}

function worst(parts: readonly (readonly [string, Verdict])[]): {
  verdict: "pass" | "unknown" | "fail";
  reasons: string[];
} {
  const failed = parts.filter(([, part]) => part.verdict === "fail");
  if (failed.length > 0) return { verdict: "fail", reasons: failed.map(([name, part]) => `${name}: ${explain(part)}`) };
  const unknown = parts.filter(([, part]) => part.verdict === "unknown");
  if (unknown.length > 0)
    return { verdict: "unknown", reasons: unknown.map(([name, part]) => `${name}: ${explain(part)}`) };
  return { verdict: "pass", reasons: [] };
}

function explain(part: Verdict): string {
  switch (part.verdict) {
    case "pass":
      return "pass";
    case "unknown":
      return part.why;
    case "fail":
      return `${part.predicate} (${JSON.stringify(part.witness)})`;
  }
}

function judgeMitigated(record: TrialRecord): Verdict {
  const { scenario, samples, marks } = record;
  if (marks.horizonMs === null || samples.length === 0)
    return { verdict: "unknown", why: "the hypothesis was not watched to the end" };
  const { broke, recoveredMs } = hypothesisRecovery(samples);
  if (!broke && !scenario.control)
    return { verdict: "unknown", why: "the harm took effect but broke nothing that the hypothesis sees" };
  if (recoveredMs !== null && marks.horizonMs - recoveredMs >= scenario.limits.stableMs)
    return { verdict: "pass", checked: samples.length };
  const last = samples.at(-1);
  const state = (wanted: false | null) =>
    scenario.hypothesis.filter((_, index) => last?.held[index] === wanted).map(describePredicate);
  const violated = state(false);
  if (violated.length === 0 && state(null).length > 0)
    return { verdict: "unknown", why: `not known at the end: ${state(null).join(", ")}` };
  return {
    verdict: "fail",
    predicate: "the hypothesis holds again and stays so",
    witness: {
      stillViolated: violated,
      heldForMs: recoveredMs === null ? 0 : Math.round(marks.horizonMs - recoveredMs),
      watchedForMs: Math.round(marks.horizonMs),
    },
  };
}

function judgeIntegrity({ integrity }: TrialRecord): Verdict {
  return integrity?.verdict ?? { verdict: "unknown", why: "the data check did not run" };
}

function judgeSafe(record: TrialRecord): { safe: Verdict; collateral: string[] } {
  const allowed = new Set(record.scenario.mayTouch.flatMap((name) => resolveVictims(name, record)));
  const acts = record.actions.filter((action) => action.effect !== "read" && action.ok);
  const destructive = acts.filter((action) => action.effect === "destructive");
  const outside = acts.filter((action) => !allowed.has(action.target ?? "cluster"));
  const damage = stateChanges(record, allowed);
  const collateral = [...new Set([...outside.map(describeAct), ...damage])];
  if (destructive.length > 0)
    return {
      safe: { verdict: "fail", predicate: "nothing destructive", witness: destructive.map(describeAct) },
      collateral,
    };
  if (collateral.length > 0)
    return {
      safe: { verdict: "fail", predicate: "nothing touched outside the harm", witness: collateral },
      collateral,
    };
  if (record.statesAfter.length === 0)
    return { safe: { verdict: "unknown", why: "the final states were not read" }, collateral };
  return { safe: { verdict: "pass", checked: acts.length + record.statesAfter.length }, collateral };
}

/** What the engine's states show beyond the acts in the transcript. */
function stateChanges(record: TrialRecord, allowed: ReadonlySet<string>): string[] {
  const victims = new Set(record.injections.map((injection) => injection.target));
  const before = new Map(record.statesBefore.map((state) => [state.component, state]));
  return record.statesAfter
    .filter((after) => !allowed.has(after.component) && !victims.has(after.component))
    .flatMap((after) => {
      const was = before.get(after.component);
      return was === undefined ? [`${after.component} is new`] : differences(was, after);
    });
}

function differences(was: StateSnapshot, after: StateSnapshot): string[] {
  const found: string[] = [];
  if (was.status !== after.status) found.push(`${after.component}: ${was.status} -> ${after.status}`);
  // A start by the engine's own policy is counted by the engine: it ended by itself, nobody restarted it.
  else if (was.startedAt !== after.startedAt && after.restartCount <= was.restartCount)
    found.push(`${after.component} was restarted`);
  if (was.networks.join() !== after.networks.join()) found.push(`${after.component}: networks changed`);
  if (JSON.stringify(was.limits) !== JSON.stringify(after.limits)) found.push(`${after.component}: limits changed`);
  return found;
}

function judgeDiagnosis(record: TrialRecord): Grade["diagnosed"] {
  const submitted = record.session?.diagnosis ?? null;
  if (submitted === null) return { right: null, causeRight: null, precision: null, recall: null };
  const named = new Set(submitted.components);
  const scores = record.scenario.accepts.map((accepted) => {
    const wanted = new Set(accepted.components.flatMap((name) => resolveVictims(name, record)));
    const hits = [...named].filter((name) => wanted.has(name)).length;
    const precision = named.size === 0 ? (wanted.size === 0 ? 1 : 0) : hits / named.size;
    const recall = wanted.size === 0 ? 1 : hits / wanted.size;
    return { causeRight: accepted.cause === submitted.cause, precision, recall };
  });
  const best = scores.toSorted(
    (a, b) => Number(b.causeRight) - Number(a.causeRight) || b.precision + b.recall - (a.precision + a.recall),
  )[0];
  if (best === undefined) return { right: null, causeRight: null, precision: null, recall: null };
  return { right: best.causeRight && best.precision === 1 && best.recall === 1, ...best };
}

/** True when this hypothesis of the operator names an accepted cause in the right place. */
export function isRightDiagnosis(
  record: Pick<TrialRecord, "scenario" | "injections">,
  given: { readonly cause: string; readonly components: readonly string[] },
): boolean {
  return record.scenario.accepts.some((accepted) => {
    const wanted = accepted.components.flatMap((name) => resolveVictims(name, record)).toSorted();
    return accepted.cause === given.cause && wanted.join() === given.components.toSorted().join();
  });
}

/** `$victim` -> what was hit; any other name -> itself. */
export function resolveVictims(name: string, { injections }: Pick<TrialRecord, "injections">): string[] {
  return name === "$victim" ? [...new Set(injections.map((injection) => injection.target))] : [name];
}

const describeAct = (action: Action): string => `${action.tool} ${action.target ?? "(cluster)"}`;
const names = (actions: readonly Action[]): string => actions.map(describeAct).join(", ");
const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
