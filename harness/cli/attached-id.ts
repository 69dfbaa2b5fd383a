import { createHash } from "node:crypto";
import type { InstanceId } from "../protocol.ts";

/** The same for every program that is pointed at the same place, so that monitor and agent mean the same tickets. */
export function stableId(text: string): InstanceId {
  return createHash("sha256").update(text).digest("hex").slice(0, 8) as InstanceId;
}

/** Of somebody's cluster, by its compose project. */
export const attachedId = (project: string): InstanceId => stableId(`project ${project}`);
