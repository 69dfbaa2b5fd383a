import { html } from "hono/html";
import type { EntryRow } from "../control-port.ts";
import type { Sight } from "../sight.ts";
import { clockTime, cut, none, plural, since, staleness, state, type Html, type Level } from "./markup.ts";

const MAX_RAW = 4_000;
const SHOWN_EXACT = 400;

const ENDINGS: Readonly<Record<string, Level>> = { resolved: "ok", "no-fault": "ok", escalated: "bad", failed: "bad" };

/** Who works on what, or how the last session ended. Its steps follow in a list of their own. */
export function sessionHead({ session, sessions, health }: Sight): Html {
  if (session === null)
    return html`<div id="session-head">
      ${none(sessions.value === null ? "Sessions have not been read yet." : "No operator has worked yet.")}${staleness(sessions, health)}
    </div>`;
  const { operator, model, scripted, ticketId, attempt, startedAt, endedAt, ending, reason, diagnosis, usage } =
    session;
  const running = session.status === "running";
  const word = ending ?? session.status;
  return html`<div id="session-head">
    <p class="row">
      ${running ? state("warn", "running") : state(ENDINGS[word] ?? "idle", `ended: ${word}`)}
      <strong>${operator ?? "unknown operator"}${model === null ? "" : ` (${model})`}</strong>
      <span class="dim">
        on ticket #${ticketId}${attempt === null ? "" : `, attempt ${attempt}`}, began
        ${since(startedAt)}${endedAt === null ? "" : html`, ended ${since(endedAt)}`}
      </span>
    </p>
    ${
      scripted === true
        ? html`<p class="note">This operator follows a script: what it does says nothing about AI.</p>`
        : html`<p class="dim">${plural(usage.turns, "turn")}, ${usage.usd.toFixed(2)} USD so far</p>`
    }
    ${reason === null || reason === "" ? "" : html`<p>${reason}</p>`}
    ${
      diagnosis === null
        ? ""
        : html`<p>
            Diagnosis: <strong>${diagnosis.cause}</strong>${
              diagnosis.components.length === 0 ? "" : ` of ${diagnosis.components.join(", ")}`
            }.
            ${diagnosis.explanation}
          </p>`
    }
    ${staleness(sessions, health)}
  </div>`;
}

const WORDS = { reasoning: "thinks", tool_call: "calls", tool_result: "gets" } as const;

/** One step, as it is added to the list. */
export function step(entry: EntryRow): Html {
  const { id, type, tool, effect, summary, raw, exitCode, startedAt } = entry;
  const failed = exitCode !== null && exitCode !== 0;
  return html`<li id="step-${id}" class="step ${type}">
    <p class="row">
      <span class="dim">${clockTime(startedAt)}</span>
      <span class="word">${WORDS[type]}</span>
      ${tool === null ? "" : html`<strong>${tool}</strong>`}
      ${effect === null || type !== "tool_call" ? "" : html`<span class="effect ${effect}">${effect}</span>`}
      ${failed ? state("warn", `exit ${exitCode}`) : ""}
    </p>
    ${type === "tool_call" ? call(entry) : html`<p class="said">${cut(summary, MAX_RAW)}</p>`}
    ${
      type === "tool_call" || raw === summary || raw === ""
        ? ""
        : html`<details>
            <summary>All of it</summary>
            <pre tabindex="0" role="region" aria-label="All of step ${id}">${cut(raw, MAX_RAW)}</pre>
          </details>`
    }
  </li>`;
}

/** Why first, for who reads along; then what exactly. */
function call(entry: EntryRow): Html {
  const { params, summary } = entry;
  if (params === null || typeof params !== "object") return html`<p class="said">${cut(summary, MAX_RAW)}</p>`;
  const { reason, ...rest } = params as Readonly<Record<string, unknown>>;
  const exact = Object.keys(rest).length === 0 ? "" : cut(JSON.stringify(rest), MAX_RAW);
  return html`${typeof reason === "string" ? html`<p class="said">${cut(reason, MAX_RAW)}</p>` : ""}
  ${exact === "" ? "" : exact.length > SHOWN_EXACT ? folded(entry.id, exact) : html`<p class="exact"><code>${exact}</code></p>`}`;
}

/** A long call would push what follows out of sight. */
function folded(id: number, exact: string): Html {
  return html`<details>
    <summary>The exact call</summary>
    <pre tabindex="0" role="region" aria-label="The exact call of step ${id}">${exact}</pre>
  </details>`;
}

/** Where in a session a browser is: `<session>/<entry>`, the id of a server-sent event. */
export function placeOf(sight: Pick<Sight, "session">, entry: Pick<EntryRow, "id"> | undefined): string {
  return sight.session === null ? "" : `${sight.session.sessionId}/${entry?.id ?? 0}`;
}
