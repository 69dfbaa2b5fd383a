import type { MonitorState, Session, StoredLogEntry, Ticket } from "../../tickets/index.ts";
import { isoTime, type EpochMs } from "../base/clock.ts";
import { plain } from "../base/plain-text.ts";
import type { InstanceId, Usage } from "../protocol.ts";

/** `#3  open  critical  tikv1  store_up  tikv1 does not answer  (held)` */
export function ticketLine(ticket: Ticket): string {
  const notes = [ticket.held ? "held" : "", ticket.manual ? "manual" : "", ticket.escalated ? "escalated" : ""];
  const shown = notes.filter((note) => note !== "").join(", ");
  const columns = [
    `#${ticket.id}`.padEnd(5),
    ticket.status.padEnd(12),
    ticket.severity.padEnd(8),
    (ticket.component ?? "cluster").padEnd(8),
    ticket.invariant.padEnd(20),
    ticket.message,
  ];
  return plain(`${columns.join("  ")}${shown === "" ? "" : `  (${shown})`}\n`);
}

export function ticketDetails(ticket: Ticket, usage: Usage): string {
  const fields: readonly (readonly [string, string | null])[] = [
    [
      "status",
      [ticket.status, ticket.held ? "held by a person" : "", ticket.manual ? "manual" : ""].filter(Boolean).join(", "),
    ],
    ["severity", ticket.severity],
    ["message", ticket.message],
    ["invariant", `${ticket.invariant}${ticket.component === null ? "" : ` on ${ticket.component}`}`],
    ["cluster", ticket.instance],
    ["incident", `${ticket.batchKey}, attempt ${ticket.attempt}`],
    ["seen", `${ticket.occurrences} times, ${second(ticket.firstSeenAt)} to ${second(ticket.lastSeenAt)}`],
    ["worked by", ticket.status === "acknowledged" ? (ticket.holder ?? "another program, without a lease") : null],
    ["diagnosis", ticket.diagnosis],
    ["resolved", ticket.resolvedAt === null ? null : second(ticket.resolvedAt)],
    ["cost", usage.turns === 0 ? null : cost(usage)],
  ];
  const lines = fields.filter(([, value]) => value !== null).map(([name, value]) => `  ${name.padEnd(10)} ${value}\n`);
  return plain(`ticket #${ticket.id}\n${lines.join("")}`);
}

export function sessionLine(session: Session): string {
  const who = `${session.operator ?? "unknown operator"}${session.scripted === true ? " (scripted)" : ""}`;
  const how = `${session.ending ?? session.status}${session.reason === null ? "" : `: ${session.reason}`}`;
  return plain(`${session.sessionId}  ticket #${session.ticketId}  ${second(session.startedAt)}  ${who}  ${how}\n`);
}

export function sessionDetails(session: Session, entries: readonly StoredLogEntry[]): string {
  const diagnosis = session.diagnosis;
  const head = [
    sessionLine(session),
    session.model === null ? "" : `  model      ${session.model}\n`,
    ...Object.entries(session.details)
      .filter(([name]) => name !== "model")
      .map(([name, value]) => `  ${name.padEnd(10)} ${value}\n`),
    diagnosis === null
      ? ""
      : `  diagnosis  ${diagnosis.cause} (${diagnosis.components.join(", ") || "whole cluster"}): ${diagnosis.explanation}\n`,
    session.usage.turns === 0 ? "" : `  cost       ${cost(session.usage)}\n`,
  ].join("");
  return plain(head + entries.map(entryLine).join(""));
}

/** Empty when a monitor is alive that would verify repairs (of this cluster, where one is named). */
export function unverifiedWarning(monitors: readonly MonitorState[], instance: InstanceId | null = null): string {
  const alive = monitors.some((m) => m.alive && (instance === null || m.instance === instance));
  return alive ? "" : "no monitor is alive: nothing will verify this; `lab monitor run` starts one\n";
}

function entryLine(entry: StoredLogEntry): string {
  const what = entry.type === "reasoning" ? "says" : entry.type === "tool_call" ? "calls" : "gets";
  const code = entry.exitCode === null || entry.exitCode === 0 ? "" : ` [${entry.exitCode}]`;
  return `  ${second(entry.startedAt)}  ${what.padEnd(5)}  ${entry.tool === null ? "" : `${entry.tool}${code}  `}${entry.summary}\n`;
}

function cost({ usd, turns, inputTokens, outputTokens, cacheReadTokens }: Usage): string {
  return `USD ${usd.toFixed(4)}, ${turns} turns, ${inputTokens + cacheReadTokens} tokens in (${cacheReadTokens} cached), ${outputTokens} out`;
}

function second(at: EpochMs): string {
  return isoTime(at)
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
}
