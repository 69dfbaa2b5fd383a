import { durationText, longTimeText } from "../go-text.ts";
import type { Region } from "../regions.ts";

export type Step =
  | { readonly kind: "add-peer"; readonly storeId: number; readonly peerId: number }
  | { readonly kind: "remove-peer"; readonly storeId: number }
  | { readonly kind: "transfer-leader"; readonly from: number; readonly to: number }
  | { readonly kind: "split"; readonly policy: "SCAN" | "APPROXIMATE" | "USEKEY"; readonly keys: readonly string[] };

/** As PD numbers them. */
export const OPERATOR_STATUS = { started: 1, success: 2, canceled: 3, replaced: 4, expired: 5, timeout: 6 } as const;

export interface Operator {
  readonly desc: string;
  readonly brief: string;
  readonly kinds: readonly ("admin" | "leader" | "region" | "replica" | "split")[];
  readonly regionId: number;
  readonly confVer: number;
  readonly version: number;
  readonly steps: readonly Step[];
  readonly createdAtMs: number;
  readonly timeoutMs: number;
  readonly size: number;
  currentStep: number;
  status: number;
  finishedAtMs: number;
}

/** What a new operator needs to be told; the rest follows from the region. */
export interface Plan {
  readonly desc: string;
  readonly kinds: Operator["kinds"];
  readonly steps: readonly Step[];
}

export function makeOperator(
  region: Region,
  { desc, kinds, steps }: Plan,
  nowMs: number,
  timeFactor: number,
): Operator {
  const short = kinds.includes("leader") || kinds.includes("split");
  return {
    desc,
    brief: briefOf(region, steps),
    kinds,
    regionId: region.id,
    confVer: region.confVer,
    version: region.version,
    steps,
    createdAtMs: nowMs,
    timeoutMs: (short ? 60_000 : 660_000) * timeFactor,
    size: region.approximateSize,
    currentStep: 0,
    status: OPERATOR_STATUS.started,
    finishedAtMs: 0,
  };
}

export function isStepDone(step: Step, region: Region, operator: Operator): boolean {
  switch (step.kind) {
    case "add-peer":
      return (
        region.peers.some(({ storeId, role }) => storeId === step.storeId && role === 0) &&
        region.pendingPeers.every(({ storeId }) => storeId !== step.storeId)
      );
    case "remove-peer":
      return region.peers.every(({ storeId }) => storeId !== step.storeId);
    case "transfer-leader":
      return region.leader?.storeId === step.to;
    case "split":
      return region.version > operator.version;
  }
}

/** One line, as GET /operators lists it. */
export function operatorText(operator: Operator): string {
  const { desc, brief, kinds, regionId, confVer, version, createdAtMs, currentStep, size, steps } = operator;
  const at = longTimeText(createdAtMs);
  const list = steps.map((step, index) => `${index}:{${stepText(step)}}`).join(", ");
  const timeout = durationText(kinds.includes("leader") || kinds.includes("split") ? 60_000 : 660_000);
  const text =
    `${desc} {${brief}} (kind:${kinds.join(",")}, region:${regionId}(${version}, ${confVer}), createAt:${at}, ` +
    `startAt:${at}, currentStep:${currentStep}, size:${size}, steps:[${list}], timeout:[${timeout}])`;
  return operator.status === OPERATOR_STATUS.success ? `${text} finished` : text;
}

const KIND_BITS = { leader: 1, region: 2, replica: 8, split: 32, admin: 256 } as const;

/** As GET /operators?object has it. */
export function operatorObject(operator: Operator): Record<string, unknown> {
  return {
    desc: operator.desc,
    brief: operator.brief,
    region_id: operator.regionId,
    region_epoch: { conf_ver: operator.confVer, version: operator.version },
    kind: operator.kinds.reduce((bits, kind) => bits | KIND_BITS[kind], 0),
    timeout: operator.kinds.includes("leader") || operator.kinds.includes("split") ? "1m0s" : "11m0s",
    status: operator.status,
  };
}

export const STATUS_WORDS = ["CREATED", "RUNNING", "SUCCESS", "CANCELED", "REPLACED", "EXPIRED", "TIMEOUT"] as const;

function briefOf(region: Region, steps: readonly Step[]): string {
  const added = steps.flatMap((step) => (step.kind === "add-peer" ? [step.storeId] : []));
  const removed = steps.flatMap((step) => (step.kind === "remove-peer" ? [step.storeId] : []));
  const last = steps.at(-1);
  if (last?.kind === "split")
    return `split: region ${region.id} use policy ${last.policy}${last.keys.length > 0 ? ` and keys [${last.keys.join(" ").toUpperCase()}]` : ""}`;
  if (added.length > 0 && removed.length > 0) return `mv peer: store [${removed.join(" ")}] to [${added.join(" ")}]`;
  if (added.length > 0) return `add peer: store [${added.join(" ")}]`;
  if (removed.length > 0) return `rm peer: store [${removed.join(" ")}]`;
  return last?.kind === "transfer-leader" ? `transfer leader: store ${last.from} to ${last.to}` : "";
}

function stepText(step: Step): string {
  switch (step.kind) {
    case "add-peer":
      return `add peer ${step.peerId} on store ${step.storeId}`;
    case "remove-peer":
      return `remove peer on store ${step.storeId}`;
    case "transfer-leader":
      return `transfer leader from store ${step.from} to store ${step.to}`;
    case "split":
      return `split region with policy ${step.policy}`;
  }
}
