import type { Ticket } from "../../tickets/index.ts";
import type { EngineEvent, Observation } from "../protocol.ts";
import type { Judged } from "./track.ts";

/** What a monitor does, as it happens: live view, plain lines and the trial's record are made of these. */
export type MonitorEvent<O extends Observation = Observation> =
  | { readonly type: "observation"; readonly observation: O; readonly judged: readonly Judged[] }
  | { readonly type: "ticket"; readonly action: "opened" | "reopened" | "escalated"; readonly ticket: Ticket }
  | { readonly type: "ticket-resolved"; readonly ticket: Ticket }
  | { readonly type: "engine-event"; readonly event: EngineEvent }
  /** Something that the monitor itself could not do; it goes on and tries again. */
  | { readonly type: "problem"; readonly text: string };
