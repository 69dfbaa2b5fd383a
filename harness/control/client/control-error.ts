import { HarnessError, type ErrorCode } from "../../base/errors.ts";
import type { ApiErrorCode } from "../contract.ts";

const CODES: Partial<Readonly<Record<ApiErrorCode, ErrorCode>>> = {
  malformed: "usage",
  "unknown-command": "usage",
  "too-large": "usage",
  "lease-lost": "lease-lost",
  "wrong-state": "wrong-state",
  "not-found": "not-found",
};

/** What the control server refused, and why: `apiCode` of the API's list, `status` of HTTP. */
export class ControlError extends HarnessError {
  readonly apiCode: string;
  readonly status: number;

  constructor(status: number, apiCode: string, message: string, details: Record<string, unknown> = {}) {
    super(CODES[apiCode as ApiErrorCode] ?? "control-refused", message, { details: { ...details, apiCode, status } });
    this.apiCode = apiCode;
    this.status = status;
  }
}
