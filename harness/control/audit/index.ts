export { databaseAnchor, fileAnchor } from "./anchors.ts";
export { auditIn, auditWriters, controlHome, defaultStateDir, type ControlHome } from "./home.ts";
export { openAudit } from "./open-audit.ts";
export { readAudit, type AuditRecord } from "./read-audit.ts";
export { verifyAudit, type AuditReport } from "./verify-audit.ts";
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
