import { html } from "hono/html";
import type { TicketRow } from "../control-port.ts";
import type { Sight } from "../sight.ts";
import { button, commandForm } from "./forms.ts";
import { none, plural, section, since, staleness, state, type Html, type Level } from "./markup.ts";

const SHOWN_RESOLVED = 5;

export interface IncidentView {
  readonly batchKey: string;
  readonly tickets: readonly TicketRow[];
  readonly critical: boolean;
  readonly held: boolean;
  readonly escalated: boolean;
  readonly worked: boolean;
}

/** Open incidents, critical first, then oldest. */
export function openIncidents(tickets: readonly TicketRow[]): readonly IncidentView[] {
  const byKey = Map.groupBy(
    tickets.filter(({ status }) => status !== "resolved"),
    ({ batchKey }) => batchKey,
  );
  return [...byKey]
    .map(([batchKey, own]) => ({
      batchKey,
      tickets: own.toSorted((a, b) => a.id - b.id),
      critical: own.some(({ severity }) => severity === "critical"),
      held: own.some(({ held }) => held),
      escalated: own.some(({ escalated }) => escalated),
      worked: own.some(({ status }) => status === "acknowledged"),
    }))
    .toSorted((a, b) => Number(b.critical) - Number(a.critical) || firstSeen(a) - firstSeen(b));
}

function firstSeen({ tickets }: IncidentView): number {
  return Math.min(...tickets.map(({ firstSeenAt }) => firstSeenAt));
}

export function incidentsSection(sight: Sight, formToken: string): Html {
  const { tickets } = sight;
  const rows = tickets.value ?? [];
  const open = openIncidents(rows);
  const over = rows
    .filter(({ status }) => status === "resolved")
    .toSorted((a, b) => (b.resolvedAt ?? 0) - (a.resolvedAt ?? 0))
    .slice(0, SHOWN_RESOLVED);
  const nothing = tickets.value === null ? "Tickets have not been read yet." : "No open incident.";
  return section(
    "incidents",
    "Incidents",
    html`${open.length === 0 ? none(nothing) : open.map((incident) => incidentCard(incident, formToken))}
    ${over.length === 0 ? "" : resolvedList(over)} ${staleness(tickets, sight.health)}`,
    open.length === 0 ? "" : html`<p class="dim">${open.length} open</p>`,
  );
}

function incidentCard(incident: IncidentView, formToken: string): Html {
  const { batchKey, tickets, critical } = incident;
  const [level, word] = progressOf(incident);
  return html`<article class="card incident ${critical ? "critical" : ""}" id="incident-${batchKey}">
    <p class="row">
      ${state(critical ? "bad" : "warn", critical ? "critical" : "warning")} ${state(level, word)}
      <span class="dim">incident ${batchKey}</span>
    </p>
    <ul class="tickets">
      ${tickets.map((ticket) => ticketRow(ticket, formToken))}
    </ul>
  </article>`;
}

function progressOf({ tickets, held, escalated, worked }: IncidentView): readonly [Level, string] {
  const attempt = Math.max(...tickets.map((ticket) => ticket.attempt));
  if (held) return ["idle", "held by a person"];
  if (escalated) return ["bad", "escalated: it needs a person"];
  if (worked) return ["warn", `being worked on, attempt ${attempt}`];
  if (tickets.every(({ status }) => status === "diagnosed")) return ["warn", "said to be fixed, not verified yet"];
  return ["warn", attempt === 0 ? "nobody works on it" : `nobody works on it, after ${plural(attempt, "attempt")}`];
}

function ticketRow(ticket: TicketRow, formToken: string): Html {
  const { id, message, component, invariant, occurrences, firstSeenAt, held, holder, status } = ticket;
  const command = held ? "ticket_unhold" : "ticket_hold";
  return html`<li id="ticket-${id}">
    <p class="message">${message}</p>
    <div class="row">
      <span class="dim">
        #${id} · ${invariant}${component === null ? "" : ` · ${component}`} · first seen ${since(firstSeenAt)} · seen
        ${occurrences}×${status === "acknowledged" && holder !== null ? ` · with ${holder}` : ""}
      </span>
      ${commandForm({ id: `ticket-${id}-do`, formToken, fields: { ticket: String(id) } }, [
        button(`ticket-${id}-${command}`, command, `ticket ${id}`),
      ])}
    </div>
  </li>`;
}

function resolvedList(tickets: readonly TicketRow[]): Html {
  return html`<details id="resolved">
    <summary>Resolved lately</summary>
    <ul class="history">
      ${tickets.map(
        ({ id, message, resolvedAt }) =>
          html`<li><span class="dim">#${id} ${resolvedAt === null ? "" : since(resolvedAt)}</span> ${message}</li>`,
      )}
    </ul>
  </details>`;
}
