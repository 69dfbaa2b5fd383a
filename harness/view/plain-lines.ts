import type { TrialEvent } from "../protocol.ts";

/** One event as one line for a pipe or a log; null for those that only a moving picture needs. */
export function plainLine(event: TrialEvent): string | null {
  const text = plainText(event);
  return text === null ? null : `${stamp(event.sinceMs)}  ${text}`;
}

function plainText(event: TrialEvent): string | null {
  switch (event.type) {
    case "phase":
      return event.text;
    case "notice":
      return event.text;
    case "broke":
      return `broke ${event.target} (${event.label})`;
    case "ticket":
      return `ticket #${event.id} ${event.severity}: ${event.message}`;
    case "ticket-resolved":
      return `ticket #${event.id} resolved: the monitor saw it hold`;
    case "step":
      return event.kind === "result" ? `    ${firstLine(event.text)}` : `  operator: ${firstLine(event.text)}`;
    case "operator-ended":
      return `operator ended: ${event.ending} (${event.reason})`;
    case "recovered":
      return "the steady state holds again";
    case "stable":
      return "stable";
    case "cluster":
    case "clients":
      return null;
  }
}

const MAX_LINE = 110;

function firstLine(text: string): string {
  const line = text.split("\n").find((part) => part.trim() !== "") ?? "";
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE - 1)}…` : line;
}

export function stamp(sinceMs: number | null): string {
  return sinceMs === null ? "        " : `${(sinceMs / 1000).toFixed(1).padStart(6)} s`;
}
