import type { OperatorKind, Plan } from "./operator.ts";
import type { View } from "./view.ts";

/** Proposes operators, as many as it thinks fit; pure but for chance and ids. */
export interface Scheduler {
  readonly name: string;
  /** Which operators under way count against which limit; none when there is no limit. */
  readonly limit: { readonly kind: OperatorKind; readonly item: string };
  propose(view: View): readonly Plan[];
}

export const LEADER_LIMIT = { kind: "leader", item: "leader-schedule-limit" } as const;
export const REGION_LIMIT = { kind: "region", item: "region-schedule-limit" } as const;
export const HOT_LIMIT = { kind: "hot-region", item: "hot-region-schedule-limit" } as const;
