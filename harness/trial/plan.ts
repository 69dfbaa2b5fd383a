import { isoTime } from "../base/clock.ts";
import type { Clock, EngineKind, InstanceId, Scenario } from "../protocol.ts";
import { scenarioSchema, type TrialRecord } from "../store/record.ts";
import type { Baseline } from "./counterfactual.ts";
import type { OperatorVariant } from "./operator-run.ts";

/** Everything that is decided before a trial starts. */
export interface TrialPlan {
  readonly id: string;
  readonly scenario: Scenario;
  readonly seed: number;
  readonly engine: EngineKind;
  readonly timeFactor: number;
  readonly variant: OperatorVariant;
  /** True = it follows a script; `notice` is then shown with every result. */
  readonly scripted: boolean;
  readonly notice: string | null;
  readonly instance: InstanceId;
  /** Of the injection journal: beside the owner's lock. */
  readonly journalPath: string;
  readonly folderPath: string;
  /** Null = a file of the trial's own in its folder. */
  readonly ticketsPath: string | null;
  readonly monitorIntervalMs: number;
  /** Looks up the stored runs without an operator; null when there are none for the key or they are not wanted. */
  baselineFor(key: string): Promise<Baseline | null>;
  readonly labVersion: string;
}

/** The record as it is before anything has happened. */
export function newRecord(plan: TrialPlan, clock: Clock): TrialRecord {
  return {
    format: 1,
    id: plan.id,
    scenario: scenarioSchema.parse(plan.scenario),
    seed: plan.seed,
    engine: plan.engine,
    timeFactor: plan.timeFactor,
    baselineKey: "",
    subject: {
      name: plan.scenario.subject,
      title: plan.scenario.subject,
      standIn: false,
      build: "",
      owned: false,
      instance: plan.instance,
    },
    operator: {
      name: plan.variant.name,
      scripted: plan.scripted,
      notice: plan.notice,
      mode: plan.variant.mode,
      model: plan.variant.model,
      promptDigest: null,
      details: {},
    },
    labVersion: plan.labVersion,
    startedAt: isoTime(clock.now()),
    endedAt: null,
    status: "running",
    voidReason: null,
    injections: [],
    marks: {
      breachMs: null,
      ticketMs: null,
      hypothesisMs: null,
      firstWriteMs: null,
      operatorEndedMs: null,
      recoveredMs: null,
      stableMs: null,
      horizonMs: null,
    },
    historyZeroMs: null,
    samples: [],
    tickets: [],
    session: null,
    actions: [],
    hypotheses: [],
    statesBefore: [],
    statesAfter: [],
    attestation: { before: null, after: null },
    clients: null,
    integrity: null,
    control: null,
    blinding: { level: "none", why: "not started" },
    waitedForPeopleMs: 0,
    notes: [],
    grade: null,
  };
}
