import { html } from "hono/html";
import type { Sight } from "../sight.ts";
import { approvalsSection } from "./approvals.ts";
import { clusterSection } from "./cluster.ts";
import { doneSection } from "./done.ts";
import { headline } from "./headline.ts";
import { incidentsSection } from "./incidents.ts";
import type { Html } from "./markup.ts";
import { planesSection, programsSection } from "./planes.ts";
import { placeOf, sessionHead, step } from "./session.ts";
import { watchdogSection } from "./watchdog.ts";

export interface Viewer {
  readonly name: string;
  readonly formToken: string;
}

export interface Titles {
  /** e.g. the deployment's hash. */
  readonly deployment: string;
  /** What people are told about the cluster, e.g. that it is a stand-in; null = nothing. */
  readonly notice: string | null;
}

/** Every part of the page that is replaced as a whole, by the id of its element. */
export function fragments(sight: Sight, { formToken }: Viewer): Readonly<Record<string, string>> {
  const parts: Readonly<Record<string, Html>> = {
    headline: headline(sight),
    approvals: approvalsSection(sight, formToken),
    incidents: incidentsSection(sight, formToken),
    "session-head": sessionHead(sight),
    cluster: clusterSection(sight, formToken),
    done: doneSection(sight),
    planes: planesSection(sight),
    programs: programsSection(sight),
    watchdog: watchdogSection(sight),
  };
  return Object.fromEntries(Object.entries(parts).map(([id, part]) => [id, String(part)]));
}

export function page(sight: Sight, viewer: Viewer, titles: Titles): Html {
  const { formToken, name } = viewer;
  const body = html`<a class="skip" href="#main">Skip to the incidents</a>
    <header class="top">
      <h1>Status <small>${titles.deployment}</small></h1>
      <p id="link" class="link" role="status">connecting</p>
      <form method="post" action="/sign-out">
        <input type="hidden" name="form_token" value="${formToken}" />
        <span class="dim">${name}</span> <button type="submit">Sign out</button>
      </form>
    </header>
    ${titles.notice === null ? "" : html`<p class="notice" role="note">${titles.notice}</p>`} ${headline(sight)}
    <p id="said" class="said-now" role="status"></p>
    <main id="main" tabindex="-1" data-place="${placeOf(sight, sight.entries.at(-1))}">
      <div class="column wide">
        ${approvalsSection(sight, formToken)} ${incidentsSection(sight, formToken)}
        <section id="session" aria-labelledby="session-title">
          <header><h2 id="session-title">Session</h2></header>
          ${sessionHead(sight)}
          <div id="steps" class="steps" role="log" aria-label="Steps of the session" tabindex="0">
            <ol>
              ${sight.entries.map((entry) => step(entry))}
            </ol>
          </div>
        </section>
      </div>
      <div class="column">
        ${clusterSection(sight, formToken)} ${doneSection(sight)} ${planesSection(sight)} ${programsSection(sight)}
        ${watchdogSection(sight)}
      </div>
    </main>
    <dialog id="confirm" aria-labelledby="confirm-question">
      <form method="dialog">
        <p id="confirm-question"></p>
        <div class="acts">
          <button id="confirm-no" value="no">Cancel</button>
          <button id="confirm-yes" class="no" value="yes">Yes</button>
        </div>
      </form>
    </dialog>
    <noscript><p class="notice">Without scripts this page does not renew itself: reload it.</p></noscript>
    <script type="module" src="/assets/panel.js"></script>`;
  return shell(`Status of ${titles.deployment}`, body);
}

export function shell(title: string, body: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/assets/panel.css" />
      </head>
      <body>
        ${body}
      </body>
    </html>`;
}
