import { html } from "hono/html";
import type { EpochMs } from "../../base/clock.ts";
import { plain } from "../../base/plain-text.ts";
import type { ApprovalRow } from "../control-port.ts";
import type { Seen, Sight } from "../sight.ts";
import { cut, none, section, since, staleness, state, until, type Html } from "./markup.ts";

const SHOWN_DECIDED = 5;
const MAX_CALL = 20_000;

/** What waits for a person: the exact call, what it was based on, and two buttons. */
export function approvalsSection({ approvals, health }: Sight, formToken: string): Html {
  const rows = approvals.value ?? [];
  const waiting = rows.filter(({ status }) => status === "waiting");
  const decided = rows.filter(({ status }) => status !== "waiting").slice(0, SHOWN_DECIDED);
  return section(
    "approvals",
    "Approvals",
    html`${waiting.length === 0 ? none(approvals.value === null ? "Approvals have not been read yet." : "Nothing waits for a person.") : waiting.map((one) => card(one, approvals, formToken))}
    ${decided.length === 0 ? "" : decidedList(decided)} ${staleness(approvals, health)}`,
    waiting.length === 0 ? "" : html`<p>${state("warn", `${waiting.length} waiting`)}</p>`,
  );
}

function card(one: ApprovalRow, { at }: Seen<unknown>, formToken: string): Html {
  const { id, tool, effect, operator, claim, input, callDigest } = one;
  // Rounded: two readings of the same end are the same text.
  const ends = (Math.round(((at ?? 0) + one.remainingMs) / 1_000) * 1_000) as EpochMs;
  return html`<article class="card approval" id="approval-${id}" aria-labelledby="approval-${id}-title">
    <h3 id="approval-${id}-title">${tool} <span class="effect ${effect}">${effect}</span></h3>
    <p class="dim">
      ${operator} asks for incident ${claim.batchKey}, ${since(one.requestedAt)}; it lapses ${until(ends)}
    </p>
    <p id="approval-${id}-what">The exact call:</p>
    <pre tabindex="0" role="region" aria-labelledby="approval-${id}-what">
${plain(cut(JSON.stringify(input, null, 2), MAX_CALL))}</pre>
    <details id="approval-${id}-state">
      <summary>The state that it was based on</summary>
      <pre tabindex="0" role="region" aria-label="State that the call was based on">
${plain(cut(JSON.stringify(one.state, null, 2), MAX_CALL))}</pre>
    </details>
    <form id="approval-${id}-form" class="decide" method="post" action="/approvals/${id}" data-live>
      <input type="hidden" name="form_token" value="${formToken}" />
      <input type="hidden" name="call_digest" value="${callDigest}" />
      <label for="approval-${id}-reason">Reason (optional, goes on record)</label>
      <input id="approval-${id}-reason" name="reason" maxlength="500" autocomplete="off" />
      <div class="acts">
        <button id="approval-${id}-approve" class="yes" type="submit" name="verdict" value="approve">
          Approve<span class="sr"> ${tool}, proposal ${id}</span>
        </button>
        <button id="approval-${id}-reject" class="no" type="submit" name="verdict" value="reject">
          Reject<span class="sr"> ${tool}, proposal ${id}</span>
        </button>
      </div>
    </form>
  </article>`;
}

function decidedList(rows: readonly ApprovalRow[]): Html {
  return html`<details id="decided">
    <summary>Decided lately</summary>
    <ul class="history">
      ${rows.map(
        ({ id, tool, status, decidedBy, decidedAt, reason }) =>
          html`<li id="decided-${id}">
            <strong>${tool}</strong> ${status}
            <span class="dim"
              >${decidedBy === null ? "" : `by ${decidedBy}`} ${decidedAt === null ? "" : since(decidedAt)}</span
            >
            ${reason === null || reason === "" ? "" : html`<br />${reason}`}
          </li>`,
      )}
    </ul>
  </details>`;
}
