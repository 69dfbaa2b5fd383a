import { HarnessError } from "../base/errors.ts";

/** Not beside the other errors: those are in images that operators look into. */
export class FaultError extends HarnessError {
  constructor(message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super("fault-failed", message, options);
  }
}
