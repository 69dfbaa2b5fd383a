export const TICKET_STATUSES = ["open", "acknowledged", "diagnosed", "resolved"] as const;
export type TicketStatus = (typeof TICKET_STATUSES)[number];

export type TransitionEvent =
  | "violation"
  | "claim"
  | "release"
  | "complete"
  | "retry"
  | "exhaust"
  | "unverified"
  | "verify"
  | "hold"
  | "resolve"
  | "reopen";

export interface Transition {
  readonly event: TransitionEvent;
  /** Null = there was no ticket. */
  readonly from: TicketStatus | null;
  readonly to: TicketStatus;
  readonly by: "monitor" | "agent" | "person" | "file";
  readonly when: string;
}

/** Every change of status that there is. The SQL takes its statuses from here, and the README shows it. */
export const TRANSITIONS: readonly Transition[] = [
  { event: "violation", from: null, to: "open", by: "monitor", when: "seen beyond its grace, or made by hand" },
  {
    event: "violation",
    from: null,
    to: "acknowledged",
    by: "monitor",
    when: "it joins an incident under a live claim",
  },
  { event: "claim", from: "open", to: "acknowledged", by: "agent", when: "incident free, attempts left" },
  { event: "claim", from: "acknowledged", to: "acknowledged", by: "agent", when: "our lease on it has ended" },
  {
    event: "claim",
    from: "diagnosed",
    to: "acknowledged",
    by: "agent",
    when: "another ticket of its incident is claimed",
  },
  { event: "release", from: "acknowledged", to: "open", by: "agent", when: "holder and attempt match" },
  { event: "complete", from: "acknowledged", to: "diagnosed", by: "agent", when: "resolved, no-fault or escalated" },
  { event: "retry", from: "acknowledged", to: "open", by: "agent", when: "failed or limit, attempts left" },
  { event: "exhaust", from: "open", to: "diagnosed", by: "file", when: "no attempts left: escalated" },
  { event: "exhaust", from: "acknowledged", to: "diagnosed", by: "file", when: "no attempts left: escalated" },
  {
    event: "exhaust",
    from: "diagnosed",
    to: "diagnosed",
    by: "file",
    when: "not verified, no attempts left: escalated",
  },
  { event: "unverified", from: "diagnosed", to: "open", by: "monitor", when: "still violated after the verify window" },
  { event: "verify", from: "open", to: "resolved", by: "monitor", when: "held for its clear period" },
  { event: "verify", from: "acknowledged", to: "resolved", by: "monitor", when: "the same, and our lease has ended" },
  { event: "verify", from: "diagnosed", to: "resolved", by: "monitor", when: "held for its clear period" },
  { event: "hold", from: "acknowledged", to: "open", by: "person", when: "a live claim is taken away" },
  { event: "resolve", from: "open", to: "resolved", by: "person", when: "always" },
  { event: "resolve", from: "acknowledged", to: "resolved", by: "person", when: "always" },
  { event: "resolve", from: "diagnosed", to: "resolved", by: "person", when: "always" },
  { event: "reopen", from: "acknowledged", to: "open", by: "person", when: "foreign, or our lease has ended" },
  { event: "reopen", from: "diagnosed", to: "open", by: "person", when: "always" },
  { event: "reopen", from: "resolved", to: "open", by: "person", when: "no other ticket of its key is unresolved" },
];

/** The statuses that `event` may start from, as an SQL list: what the table does not allow, no statement does. */
export function sqlFrom(event: TransitionEvent): string {
  const from = TRANSITIONS.filter((t) => t.event === event && t.from !== null).map((t) => `'${t.from}'`);
  return `(${from.join(", ")})`;
}

/** A status that no program knows reads as acknowledged by somebody; a person may open or resolve such a row too. */
export const UNKNOWN_STATUS = `status NOT IN (${TICKET_STATUSES.map((status) => `'${status}'`).join(", ")})`;

/** The one status that `event` leads to from an existing ticket. @throws RangeError when the table names several. */
export function sqlTo(event: TransitionEvent): string {
  const to = [...new Set(TRANSITIONS.filter((t) => t.event === event && t.from !== null).map((t) => t.to))];
  if (to.length !== 1) throw new RangeError(`${event} leads to ${to.length} statuses`);
  return `'${to[0]}'`;
}
