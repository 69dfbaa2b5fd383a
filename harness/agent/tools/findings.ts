import { z } from "zod";
import type { CauseClass, SubmittedDiagnosis, Tool } from "../../protocol.ts";
import { reason, refused, said } from "./shared.ts";

/** What the operator has said so far. One per session. */
export interface Findings {
  submitted: SubmittedDiagnosis | null;
}

export interface DiagnosisWords {
  readonly causes: readonly CauseClass[];
  /** Roles that exist, e.g. `tikv1`. */
  readonly components: readonly string[];
}

const componentNames = z
  .array(z.string().min(1).max(63))
  .max(16)
  .describe("components that are the cause, e.g. tikv1; empty = the whole cluster or none");

function causeInput({ causes }: DiagnosisWords) {
  return z
    .string()
    .refine((id) => causes.some((cause) => cause.id === id), {
      error: `not a class of the published list: ${causes.map((cause) => cause.id).join(", ")}`,
    })
    .describe(causes.map((cause) => `${cause.id}: ${cause.definition}`).join("\n"));
}

function unknownComponents(names: readonly string[], words: DiagnosisWords): string | null {
  const strangers = names.filter((name) => !words.components.includes(name));
  if (strangers.length === 0 || words.components.length === 0) return null;
  return `no such component: ${strangers.join(", ")}; there are ${words.components.join(", ")}`;
}

const hypothesisInput = (words: DiagnosisWords) =>
  z.strictObject({
    cause: causeInput(words),
    components: componentNames,
    confidence: z.number().min(0).max(1),
    reason,
  });

/** The audit trail keeps each one with its time: when the right idea came is part of the result. */
export function hypothesis(words: DiagnosisWords): Tool<ReturnType<typeof hypothesisInput>> {
  return {
    name: "hypothesis",
    description:
      "Say what you think is wrong, as soon as you think so and again whenever you change your mind. Nothing is done.",
    input: hypothesisInput(words),
    effect: () => "read",
    run: async (input) => {
      const problem = unknownComponents(input.components, words);
      return problem === null ? said("noted") : refused(problem);
    },
  };
}

const endings = ["resolved", "no-fault", "escalated"] as const;

const diagnosisInput = (words: DiagnosisWords) =>
  z.strictObject({
    cause: causeInput(words),
    components: componentNames,
    explanation: z
      .string()
      .min(10)
      .max(4_000)
      .describe("what happened and how it was found, for whoever reads the ticket"),
    evidence: z.array(z.string().min(1).max(1_000)).min(1).max(20).describe("what was seen, one observation each"),
    done: z.string().min(1).max(2_000).describe('what was changed, or "nothing"'),
    ending: z
      .enum(endings, { error: "not one of the three endings" })
      .describe(
        "resolved: it works again and was checked; no-fault: nothing was wrong, or it healed by itself before anything was done; " +
          "escalated: a person must decide",
      ),
    reason,
  });

/** The operator's last word. It resolves nothing by itself: the monitor looks whether it is true. */
export function submitDiagnosis(words: DiagnosisWords, findings: Findings): Tool<ReturnType<typeof diagnosisInput>> {
  return {
    name: "submit_diagnosis",
    description:
      "End the work on this incident: cause, components, evidence, what was done, and how it ends. Call it once.",
    input: diagnosisInput(words),
    effect: () => "read",
    run: async ({ reason: _, ...diagnosis }) => {
      if (findings.submitted !== null) return refused("a diagnosis has been submitted already");
      const problem = unknownComponents(diagnosis.components, words);
      if (problem !== null) return refused(problem);
      findings.submitted = diagnosis;
      return said("submitted; the work on this incident ends here");
    },
  };
}
