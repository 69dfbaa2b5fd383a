import { z } from "zod";

/** One value or several; conditions on a field found by its path. */
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const condition = z.union([
  scalar,
  z.array(scalar),
  z
    .strictObject({
      not: z.union([scalar, z.array(scalar)]).optional(),
      matches: z.string().optional(),
      at_least: z.number().optional(),
      at_most: z.number().optional(),
      empty: z.boolean().optional(),
    })
    .refine((value) => Object.keys(value).length > 0, { error: "an empty condition" }),
]);
export type Condition = z.output<typeof condition>;

const regexes = z.array(z.string().refine((text) => isRegex(text), { error: "not a regular expression" }));

const expectation = {
  /** Field path -> condition. `a.b` descends, `[]` means every element: each must satisfy it, and there must be one. */
  expect: z.record(z.string(), condition).optional(),
  /** At least one of these occurs in the answer (regular expressions, any case). */
  contains: regexes.min(1).optional(),
  /** None of these occurs in the answer. */
  lacks: regexes.min(1).optional(),
};

const step = z.strictObject({
  tool: z.string(),
  /** `$component` stands for the component at hand. */
  input: z.record(z.string(), z.unknown()).default({}),
  /** Kept in the audit trail. */
  why: z.string().min(10),
  ...expectation,
  /** Asks again until it holds, at most so long. Default: once. */
  within_seconds: z.number().positive().max(600).optional(),
});
export type Step = z.output<typeof step>;

export const runbookSchema = z
  .strictObject({
    runbook: z.string().regex(/^[a-z0-9-]+$/),
    title: z.string().min(5),
    /** Lower is tried first: what must not be touched before what can be repaired. */
    order: z.int().min(0).max(1_000),
    symptom: z.strictObject({
      /** `component`: tried for each component that fits; `cluster`: once. */
      scope: z.enum(["component", "cluster"]).default("component"),
      /** Component names begin with one of these. Omitted = all. */
      roles: z.array(z.string()).min(1).optional(),
      /** Conditions on the component's row of container_list. */
      container: z.record(z.string(), condition).optional(),
    }),
    checks: z.array(step).default([]),
    action: z.array(step.omit({ within_seconds: true })).default([]),
    verify: z.array(step).default([]),
    diagnosis: z.strictObject({
      cause: z.string(),
      /** `resolved`: repaired, the rest of the cluster is looked at next; the others end the work. */
      ending: z.enum(["resolved", "no-fault", "escalated"], { error: "resolved, no-fault or escalated" }),
      explanation: z.string().min(10),
    }),
  })
  .refine(({ action, diagnosis }) => action.length === 0 || diagnosis.ending === "resolved", {
    error: "only a runbook that ends resolved may act",
  })
  .refine(({ action, diagnosis }) => action.length > 0 || diagnosis.ending !== "resolved", {
    error: "a runbook without action ends no-fault or escalated",
  });

export type Runbook = z.output<typeof runbookSchema>;

function isRegex(text: string): boolean {
  try {
    new RegExp(text, "i");
    return true;
  } catch {
    return false;
  }
}
