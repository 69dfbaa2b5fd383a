import type { Operator } from "../../protocol.ts";
import { noUsage } from "../limits.ts";

/** Does nothing: what a cluster does without an operator. */
export const noop: Operator = {
  name: "noop",
  scripted: true,
  work: () =>
    Promise.resolve({ ending: "escalated", reason: "this operator does nothing", diagnosis: null, usage: noUsage }),
};
