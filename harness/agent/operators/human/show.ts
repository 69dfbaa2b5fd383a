import { isoTime } from "../../../base/clock.ts";
import { plain } from "../../../base/plain-text.ts";
import type { Incident, IncidentTicket, OperatorContext, Tool } from "../../../protocol.ts";
import { shortName, usageOf } from "./parse-line.ts";

export function ticketText({
  id,
  severity,
  component,
  message,
  invariant,
  firstSeenAt,
  context,
}: IncidentTicket): string {
  const lines = [
    `  #${id} ${severity}: ${message}`,
    `     ${component === null ? "cluster" : component}, check ${invariant}, first seen ${isoTime(firstSeenAt)}`,
    ...(context === null ? [] : [`     note: ${context}`]),
  ];
  return plain(lines.join("\n"));
}

const MODE: Readonly<Record<OperatorContext["mode"], string>> = {
  observe: "observe mode: nothing can be changed",
  propose: "propose mode: each change waits until somebody approves it",
  execute: "execute mode: changes are carried out at once",
};

export function opening({ incident, limits, mode }: OperatorContext): string {
  return [
    "",
    `incident ${incident.batchKey}, attempt ${incident.attempt}`,
    ...incident.tickets.map(ticketText),
    MODE[mode],
    `you have ${Math.round(limits.workingMs / 6_000) / 10} min and ${limits.turns} calls; help says what you can do, submit ends the work`,
    "",
  ].join("\n");
}

export function helpText(tools: readonly Tool[]): string {
  const width = Math.max(...tools.map(({ name }) => name.length));
  return [
    "help [tool]   what there is, or one tool in full",
    "brief         the cluster: topology, endpoints, what cannot be undone",
    "incident      the tickets, as they are now",
    "note <text>   a thought, for the record",
    "submit        your diagnosis: ends the work",
    "",
    "<tool> <values> -- <why>, e.g. restart tikv1 -- it does not answer; or <tool> {json}",
    ...tools.map(({ name, description }) => `  ${name.padEnd(width)}  ${firstSentence(description)}`),
  ].join("\n");
}

export function toolText(tool: Tool): string {
  return `${usageOf(tool)}\n(${shortName(tool.name)} will do where it is clear)\n${tool.description}`;
}

/** Tickets that have joined since `known` were there. */
export function joinedText(incident: Incident, known: number): string | null {
  const joined = incident.tickets.slice(known);
  return joined.length === 0 ? null : ["more was reported meanwhile:", ...joined.map(ticketText)].join("\n");
}

function firstSentence(text: string): string {
  const sentence = /^[\s\S]*?\.(?=\s|$)/.exec(text)?.[0] ?? text;
  return sentence.length > 90 ? `${sentence.slice(0, 89)}…` : sentence;
}
