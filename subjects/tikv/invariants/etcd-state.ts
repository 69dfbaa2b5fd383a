import type { PdMemberView } from "../observation.ts";

/**
 * What a member's own etcd says about it. Undetermined: it is alive but its health check hangs, or answers with the
 * error that every leader change causes once, for less than half a second (facts §10).
 */
export function etcdState({ answers, etcd }: PdMemberView): "silent" | "healthy" | "unhealthy" | "undetermined" {
  if (!answers) return "silent";
  if (!etcd.ok) return "undetermined";
  if (etcd.value.healthy) return "healthy";
  return /leader changed/.test(etcd.value.reason) ? "undetermined" : "unhealthy";
}
