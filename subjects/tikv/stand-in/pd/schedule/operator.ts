import { durationText, longTimeText } from "../go-text.ts";
import type { Region } from "../regions.ts";
import { confVerMoved, stepText, stepTimeoutMs, type Step } from "./step.ts";

/** As PD numbers them. */
export const OPERATOR_STATUS = { started: 1, success: 2, canceled: 3, replaced: 4, expired: 5, timeout: 6 } as const;
export const STATUS_WORDS = ["CREATED", "RUNNING", "SUCCESS", "CANCELED", "REPLACED", "EXPIRED", "TIMEOUT"] as const;

/** Bits and their order as of 8.5.7 (tikv/pd:pkg/schedule/operator/kind.go). */
const KIND_BITS = {
  admin: 1,
  merge: 4,
  range: 8,
  replica: 16,
  split: 32,
  "hot-region": 64,
  region: 128,
  leader: 256,
} as const;
export type OperatorKind = keyof typeof KIND_BITS;
const KINDS = Object.keys(KIND_BITS) as readonly OperatorKind[];

/** Higher ones take the place of lower ones in the same region. */
export const PRIORITY = { medium: 1, high: 2, urgent: 3 } as const;

/** An operator that somebody wants: what is to be done in one region. */
export interface Plan {
  readonly region: Region;
  readonly desc: string;
  readonly brief: string;
  readonly kinds: readonly OperatorKind[];
  readonly steps: readonly Step[];
  /** By default that of its kind: an administrator's is urgent. */
  readonly priority?: number;
  /** The other one of a merge. */
  readonly relatedRegionId?: number;
}

export interface Operator {
  readonly desc: string;
  readonly brief: string;
  readonly kinds: readonly OperatorKind[];
  readonly regionId: number;
  readonly confVer: number;
  readonly version: number;
  readonly steps: readonly Step[];
  readonly priority: number;
  readonly relatedRegionId: number | null;
  readonly createdAtMs: number;
  /** Since the process started, as Go prints it behind every time. */
  readonly createdMonoMs: number;
  /** Not scaled by the time factor. */
  readonly timeoutMs: number;
  /** MiB */
  readonly size: number;
  currentStep: number;
  stepStartedAtMs: number;
  /** Its current step was last sent then. */
  pushedAtMs: number;
  status: number;
  finishedAtMs: number;
}

export function makeOperator(plan: Plan, nowMs: number, monoMs: number): Operator {
  const { region, desc, brief, steps } = plan;
  const kinds = KINDS.filter((kind) => plan.kinds.includes(kind));
  const size = region.approximateSize;
  return {
    desc,
    brief,
    kinds,
    regionId: region.id,
    confVer: region.confVer,
    version: region.version,
    steps,
    priority: plan.priority ?? (kinds.includes("admin") ? PRIORITY.urgent : PRIORITY.medium),
    relatedRegionId: plan.relatedRegionId ?? null,
    createdAtMs: nowMs,
    createdMonoMs: monoMs,
    timeoutMs: steps.reduce((sum, step) => sum + stepTimeoutMs(step, size), 0),
    size,
    currentStep: 0,
    stepStartedAtMs: nowMs,
    pushedAtMs: nowMs,
    status: OPERATOR_STATUS.started,
    finishedAtMs: 0,
  };
}

/** The kind that a limit counts it under: its lowest bit. */
export function countedAs({ kinds }: Pick<Operator, "kinds">): OperatorKind | null {
  return KINDS.find((kind) => kinds.includes(kind)) ?? null;
}

/** How far `conf_ver` may have moved because of this operator. */
export function ownConfVerChange({ steps, currentStep }: Operator, region: Region): number {
  return steps
    .slice(0, Math.min(currentStep, steps.length - 1) + 1)
    .reduce((sum, step) => sum + confVerMoved(step, region), 0);
}

/** One line, as GET /operators lists it. */
export function operatorText(operator: Operator): string {
  const { desc, brief, kinds, regionId, confVer, version, currentStep, size, steps, timeoutMs } = operator;
  const at = longTimeText(operator.createdAtMs, operator.createdMonoMs);
  const list = steps.map((step, index) => `${index}:{${stepText(step)}}`).join(", ");
  const kind = kinds.length === 0 ? "unknown" : kinds.join(",");
  const text =
    `${desc} {${brief}} (kind:${kind}, region:${regionId}(${version}, ${confVer}), createAt:${at}, ` +
    `startAt:${at}, currentStep:${currentStep}, size:${size}, steps:[${list}], timeout:[${durationText(timeoutMs)}])`;
  if (operator.status === OPERATOR_STATUS.success) return `${text} finished`;
  return operator.status === OPERATOR_STATUS.timeout ? `${text} timeout` : text;
}

/** As GET /operators/records lists it. */
export function recordText(operator: Operator): string {
  const { createdAtMs, createdMonoMs, finishedAtMs, stepStartedAtMs, status, currentStep } = operator;
  const from = status !== OPERATOR_STATUS.success && currentStep > 0 ? stepStartedAtMs : createdAtMs;
  const at = longTimeText(finishedAtMs, createdMonoMs + finishedAtMs - createdAtMs);
  return `${operatorText(operator)} (finishAt:${at}, duration:${durationText(finishedAtMs - from)})`;
}

/** As GET /operators?object has it. */
export function operatorObject(operator: Operator): Record<string, unknown> {
  return {
    desc: operator.desc,
    brief: operator.brief,
    region_id: operator.regionId,
    region_epoch: { conf_ver: operator.confVer, version: operator.version },
    kind: operator.kinds.reduce((bits, kind) => bits | KIND_BITS[kind], 0),
    timeout: durationText(operator.timeoutMs),
    status: operator.status,
  };
}
