import { z } from "zod";
import type { Operator, OperatorContext } from "../../protocol.ts";
import { noUsage } from "../limits.ts";

const listed = z.array(z.looseObject({ component: z.string(), status: z.string() }));

/**
 * Restarts every container without looking: an operator that heals much and understands nothing. What it scores is the
 * least that an operator has to beat.
 */
export const restartEverything: Operator = {
  name: "restart-everything",
  scripted: true,
  async work(context: OperatorContext, signal) {
    const list = await context.call("container_list", { reason: "everything is restarted, so what is there?" }, signal);
    const parsed = list.isError ? null : listed.safeParse(JSON.parse(list.text));
    if (parsed?.success !== true)
      return { ending: "escalated", reason: "the containers could not be listed", diagnosis: null, usage: noUsage };
    const failed: string[] = [];
    for (const { component, status } of parsed.data) {
      const reason = "restarting everything, one after another";
      if (status === "paused") await context.call("container_unpause", { component, reason }, signal);
      const done = await context.call("container_restart", { component, reason }, signal);
      if (done.isError) failed.push(component);
    }
    if (failed.length > 0)
      return { ending: "escalated", reason: `not restarted: ${failed.join(", ")}`, diagnosis: null, usage: noUsage };
    const reason = "everything has been restarted, nothing else is known";
    await context.call(
      "submit_diagnosis",
      {
        cause: "other",
        components: [],
        explanation: "Every container was restarted without looking at what was wrong.",
        evidence: ["none was gathered"],
        done: `restarted ${parsed.data.map((c) => c.component).join(", ")}`,
        ending: "resolved",
        reason,
      },
      signal,
    );
    return { ending: "resolved", reason: "everything was restarted", diagnosis: context.submitted(), usage: noUsage };
  },
};
