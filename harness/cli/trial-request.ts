import type { EngineKind, SafetyMode, Scenario } from "../protocol.ts";
import type { TrialFlags } from "./trial-options.ts";

/** What a person asked for, after the flags were understood. */
export interface TrialRequest {
  readonly scenario: Scenario;
  readonly engine: EngineKind;
  readonly flags: TrialFlags;
  readonly mode: SafetyMode;
  /** Somebody else's compose project. */
  readonly attach: string | undefined;
  readonly db: string | undefined;
}
