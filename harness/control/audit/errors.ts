import { StoreError } from "../../base/errors.ts";

/** The audit cannot be written, or is not what it was: no command may run. The control API answers 503. */
export class AuditError extends StoreError {}
