import { html } from "hono/html";
import type { Done, Sight } from "../sight.ts";
import { none, section, since, state, type Html, type Level } from "./markup.ts";

const LEVELS: Readonly<Record<Done["state"], Level>> = {
  running: "warn",
  success: "ok",
  failed: "bad",
  refused: "bad",
  unknown: "warn",
};

const WORDS: Readonly<Record<Done["state"], string>> = {
  running: "running",
  success: "done",
  failed: "failed",
  refused: "refused",
  unknown: "not known",
};

/** People's commands and what came of them: where each ran, and by which plane. */
export function doneSection({ done }: Sight): Html {
  if (done.length === 0) return section("done", "Your commands", none("Nobody has given a command here yet."));
  return section(
    "done",
    "Your commands",
    html`<ul class="rows">
      ${done.map(
        (one) =>
          html`<li id="done-${one.id}">
            <div class="row"><strong>${one.what}</strong> ${state(LEVELS[one.state], WORDS[one.state])}</div>
            <p class="dim">${one.by}, ${since(one.at)}${where(one)}</p>
            ${one.text === "" ? "" : html`<p>${one.text}</p>`}
          </li>`,
      )}
    </ul>`,
  );
}

/** In one sentence, for the dialogue and for screen readers. */
export function doneText(one: Done): string {
  return `${one.what}: ${WORDS[one.state]}${where(one)}${one.text === "" ? "" : `. ${one.text}`}`;
}

function where({ ranAt, plane }: Done): string {
  if (ranAt === null) return "";
  return ` · by the ${ranAt}${plane === null ? "" : ` · plane ${plane}`}`;
}
