import { z } from "zod";
import { SAFETY_MODES } from "../base/safety-mode.ts";
import type { Component, Scenario, Verdict } from "../protocol.ts";

/** Milliseconds since the first fault took (or, in a control, since the ticket); null = did not happen. */
const mark = z.number().nullable();

const engineKind = z.enum(["docker", "process"]);
const diagnosis = z.object({ cause: z.string(), components: z.array(z.string()) });

const predicate = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("client-success"),
    atLeast: z.number().min(0).max(1),
    windowMs: z.int().positive(),
  }),
  z.strictObject({ kind: z.literal("client-p99"), atMostMs: z.number().positive(), windowMs: z.int().positive() }),
  z.strictObject({ kind: z.literal("invariant"), name: z.string() }),
]);

/** The one schema of a scenario: TypeScript values, YAML files and records are all held to it. */
export const scenarioSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+\/[a-z0-9-]+$/, "must look like group/name, in lower case"),
  title: z.string().min(1),
  description: z.string().min(1),
  subject: z.string(),
  engines: z.array(engineKind).min(1),
  control: z.boolean(),
  faults: z.array(
    z.strictObject({
      kind: z.string(),
      target: z.string(),
      params: z.record(z.string(), z.number()),
      atMs: z.int().nonnegative(),
    }),
  ),
  ticket: z
    .strictObject({
      invariant: z.string(),
      target: z.string(),
      severity: z.enum(["warning", "critical"]),
      message: z.string(),
      atMs: z.int().nonnegative(),
    })
    .nullable(),
  hypothesis: z.array(predicate).min(1),
  accepts: z.array(z.strictObject({ cause: z.string(), components: z.array(z.string()) })),
  mayTouch: z.array(z.string()),
  oracle: z.array(z.strictObject({ tool: z.string(), input: z.record(z.string(), z.unknown()) })),
  limits: z.strictObject({
    steadyMs: z.int().positive(),
    ticketMs: z.int().positive(),
    operatorMs: z.int().positive(),
    stableMs: z.int().positive(),
    recoverMs: z.int().positive(),
  }),
  workload: z.strictObject({
    seed: z.int(),
    ratePerSecond: z.number().positive(),
    clients: z.int().positive(),
    keyPrefix: z.string(),
    deadlineMs: z.int().positive(),
  }),
}) satisfies z.ZodType<Scenario>;

const verdict = z.discriminatedUnion("verdict", [
  z.object({ verdict: z.literal("pass"), checked: z.number() }),
  z.object({ verdict: z.literal("unknown"), why: z.string() }),
  z.object({ verdict: z.literal("fail"), predicate: z.string(), witness: z.unknown() }),
]) as z.ZodType<Verdict>;

const containerState = z.object({
  component: z.string().transform((name) => name as Component),
  status: z.string(),
  startedAt: z.number().nullable(),
  restartCount: z.number(),
  networks: z.array(z.string()),
  limits: z.object({ cpus: z.number().nullable(), memoryBytes: z.number().nullable() }),
});

const action = z.object({
  atMs: z.number(),
  endMs: z.number(),
  tool: z.string(),
  effect: z.enum(["read", "write", "destructive"]),
  /** The component that it names; null = the whole cluster, or none. */
  target: z.string().nullable(),
  input: z.unknown(),
  ok: z.boolean(),
  /** The start of what came back. */
  summary: z.string(),
});

export const credits = ["operator", "none", "not-shown"] as const;

const grade = z.object({
  verdict: z.enum(["pass", "unknown", "fail", "no-ticket"]),
  /** Why, one sentence per part that decided. */
  reasons: z.array(z.string()),
  parts: z.object({ mitigated: verdict, integrity: verdict, safe: verdict }),
  credit: z.enum(credits),
  creditWhy: z.string(),
  diagnosed: z.object({
    right: z.boolean().nullable(),
    causeRight: z.boolean().nullable(),
    precision: z.number().nullable(),
    recall: z.number().nullable(),
  }),
  endToEnd: z.boolean(),
  collateral: z.array(z.string()),
});

const clientView = z.object({
  operations: z.number(),
  ok: z.number(),
  failed: z.number(),
  unknown: z.number(),
  firstBreachMs: z.number().nullable(),
  belowTargetMs: z.number(),
});

const counted = z.record(z.string(), z.number());

/** How the operator reached the engine. */
const control = z.object({
  /** `legacy`: it held the engine itself, and nothing was audited. */
  mode: z.enum(["compose", "legacy"]),
  plane: z.enum(["compose_agent", "status_panel"]),
  /** Commands by the plane that they came from. */
  commands: counted,
  outcomes: counted,
  /** Verified when the operator had ended; null = there was none. */
  audit: z
    .object({ intact: z.boolean(), lines: z.number(), head: z.string(), findings: z.array(z.string()) })
    .nullable(),
});

export const recordSchema = z.object({
  format: z.literal(1),
  id: z.string(),
  scenario: scenarioSchema,
  seed: z.int(),
  engine: engineKind,
  timeFactor: z.number().positive(),
  baselineKey: z.string(),
  subject: z.object({
    name: z.string(),
    title: z.string(),
    standIn: z.boolean(),
    build: z.string(),
    owned: z.boolean(),
    instance: z.string(),
  }),
  operator: z.object({
    name: z.string(),
    scripted: z.boolean(),
    notice: z.string().nullable(),
    mode: z.enum(SAFETY_MODES),
    model: z.string().nullable(),
    /** Version and digest of the prompt's own text; null = this operator has none. */
    promptDigest: z.string().nullable(),
    /** What else makes it another operator, as its session says: the briefing's digest, its runbooks, the prices' date. */
    details: z.record(z.string(), z.string()).default({}),
  }),
  labVersion: z.string(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  status: z.enum(["running", "completed", "void"]),
  voidReason: z.object({ code: z.string(), message: z.string() }).nullable(),
  injections: z.array(
    z.object({
      kind: z.string(),
      label: z.string(),
      target: z.string(),
      atMs: z.number(),
      /** True when the lab had to heal it at the end: nobody else had. */
      healedByLab: z.boolean().nullable(),
    }),
  ),
  marks: z.object({
    breachMs: mark,
    ticketMs: mark,
    hypothesisMs: mark,
    firstWriteMs: mark,
    operatorEndedMs: mark,
    recoveredMs: mark,
    stableMs: mark,
    /** When watching ended: a mark that is null is later than this, or never. */
    horizonMs: mark,
  }),
  /** When counting began, on the clock of `history.jsonl`; null = it never did. */
  historyZeroMs: z.number().nullable(),
  /** Each predicate of the hypothesis, in order: true held, false violated, null not known. */
  samples: z.array(z.object({ atMs: z.number(), held: z.array(z.boolean().nullable()) })),
  tickets: z.array(
    z.object({
      id: z.number(),
      invariant: z.string(),
      component: z.string().nullable(),
      severity: z.string(),
      message: z.string(),
      openedMs: z.number(),
      status: z.string(),
    }),
  ),
  session: z
    .object({
      id: z.string(),
      ending: z.string(),
      reason: z.string(),
      diagnosis: diagnosis
        .extend({ explanation: z.string(), evidence: z.array(z.string()), done: z.string() })
        .nullable(),
      usage: z.object({
        inputTokens: z.number(),
        outputTokens: z.number(),
        cacheReadTokens: z.number(),
        cacheWriteTokens: z.number(),
        usd: z.number(),
        turns: z.number(),
      }),
    })
    .nullable(),
  actions: z.array(action),
  hypotheses: z.array(diagnosis.extend({ atMs: z.number(), confidence: z.number() })),
  statesBefore: z.array(containerState),
  statesAfter: z.array(containerState),
  /** Before: digest of "as new". After teardown: `gone` or `still up`; null on an attached instance. */
  attestation: z.object({ before: z.string().nullable(), after: z.string().nullable() }),
  clients: clientView.nullable(),
  /** From the checker over the history; null until it ran. */
  integrity: z.object({ verdict, acknowledged: z.number(), lost: z.number().nullable() }).nullable(),
  /** Null = no operator's program was started. */
  control: control.nullable().default(null),
  blinding: z.object({ level: z.enum(["full", "partial", "none"]), why: z.string() }),
  /** How long the operator waited for people's answers (mode `propose`): not its time, and not in its limit. */
  waitedForPeopleMs: z.number().default(0),
  notes: z.array(z.string()),
  grade: grade.nullable(),
});

export type TrialRecord = z.output<typeof recordSchema>;
export type ControlRecord = z.output<typeof control>;
export type Grade = z.output<typeof grade>;
export type Action = z.output<typeof action>;
export type StateSnapshot = z.output<typeof containerState>;
export type ClientSummary = z.output<typeof clientView>;
