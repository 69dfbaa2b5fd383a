import type { Invariant } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { held, newest, percent, unknown, violated } from "./judging.ts";

const MIN_OK_RATIO = 0.95;
/** Fewer say little: one slow operation is not an outage. */
const MIN_OPERATIONS = 10;

/** Seen from outside: clients get what they ask for, whatever the cluster says about itself. */
export function clientSuccess(timeFactor: number): Invariant<TikvObservation> {
  return {
    name: "client_success",
    description: `at least ${percent(MIN_OK_RATIO)} of client operations succeed`,
    graceMs: 3_000 * timeFactor,
    clearMs: 10_000 * timeFactor,
    windowMs: 0,
    judge(window) {
      const { client } = newest(window).sources;
      if (client === undefined) return [];
      if (!client.ok) return [unknown(null, client.why)];
      const { okRatio, operations } = client.value;
      if (okRatio === null || operations < MIN_OPERATIONS) return [unknown(null, "too few client operations to tell")];
      if (okRatio >= MIN_OK_RATIO) return [held(null)];
      return [violated(null, "critical", `${percent(1 - okRatio)} of client operations fail`, client.value)];
    },
  };
}
