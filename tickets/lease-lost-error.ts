import { HarnessError } from "../harness/base/errors.ts";

/** The claim is no longer ours: its lease ended, another holder took it, or a person did. Stop, and touch nothing. */
export class LeaseLostError extends HarnessError {
  constructor(message: string, details: Record<string, unknown> = {}) {
    super("lease-lost", message, { details });
  }
}
