export { databaseAnchor, fileAnchor } from "./anchors.ts";
export { AuditError } from "./errors.ts";
export { openAudit } from "./open-audit.ts";
export { auditWriters, verifyAudit, type AuditReport } from "./verify-audit.ts";
export type { AuditFinding } from "./check-chain.ts";
export type {
  AuditAnchor,
  AuditCounts,
  AuditEntry,
  AuditHandle,
  AuditHead,
  AuditOptions,
  AuditOutcome,
  AuditTrail,
  AuditVerdict,
} from "./types.ts";
