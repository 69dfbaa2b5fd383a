import type { Operator, OperatorContext, Scenario, SubmittedDiagnosis } from "../protocol.ts";

/**
 * The operator that knows: it carries out the repair of the scenario with the tools that every operator has, and names
 * the accepted diagnosis. It shows that a scenario can be solved; it lives here because no image may contain it.
 */
export function oracle(scenario: Scenario, victims: () => readonly string[]): Operator {
  const place = (value: unknown): unknown => {
    if (typeof value === "string") return value.replaceAll("$victim", victims()[0] ?? "");
    if (Array.isArray(value)) return value.map(place);
    if (value !== null && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, place(inner)]));
    return value;
  };
  return {
    name: "oracle",
    scripted: true,
    async work(context, signal) {
      for (const { tool, input } of scenario.oracle) {
        const result = await context.call(tool, place(input), signal);
        if (result.isError) return ended(context, "failed", `${tool} was refused: ${result.text}`, null);
      }
      const accepted = scenario.accepts[0];
      if (accepted === undefined) return ended(context, "failed", "the scenario accepts no diagnosis", null);
      const diagnosis: SubmittedDiagnosis = {
        cause: accepted.cause,
        components: accepted.components.flatMap((name) => (name === "$victim" ? victims() : [name])),
        explanation: "known beforehand",
        evidence: ["the scenario"],
        done: scenario.oracle.map(({ tool }) => tool).join(", ") || "nothing",
        ending: scenario.control ? "no-fault" : "resolved",
      };
      await context.call("submit_diagnosis", submission(diagnosis), signal);
      return ended(context, diagnosis.ending, "the repair of the scenario was carried out", diagnosis);
    },
  };
}

function submission({ cause, components, explanation, evidence, done, ending }: SubmittedDiagnosis): unknown {
  return { cause, components, explanation, evidence, done, ending, reason: "the repair has been carried out" };
}

function ended(
  context: OperatorContext,
  ending: "resolved" | "no-fault" | "escalated" | "failed",
  reason: string,
  diagnosis: SubmittedDiagnosis | null,
) {
  return {
    ending,
    reason,
    diagnosis: context.submitted() ?? diagnosis,
    usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0, turns: 0 },
  };
}
