import { html } from "hono/html";
import type { Html } from "./markup.ts";
import { shell } from "./page.ts";

/** @param problem what was wrong with the last attempt; null at first. */
export function signInPage(problem: string | null, nobodyCan: boolean): Html {
  return shell(
    "Sign in",
    html`<main class="small">
      <h1>Sign in</h1>
      ${nobodyCan ? html`<p class="notice">Nobody has a password yet. Who runs this panel sets one on its host.</p>` : ""}
      ${problem === null ? "" : html`<p class="problem" role="alert">${problem}</p>`}
      <form method="post" action="/sign-in">
        <label for="name">Name</label>
        <input id="name" name="name" autocomplete="username" autocapitalize="none" required maxlength="32" autofocus />
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required maxlength="200" />
        <button type="submit" class="yes">Sign in</button>
      </form>
    </main>`,
  );
}

/** What the dialog asks, for browsers without the script. */
export function confirmPage(question: string, fields: Readonly<Record<string, string>>): Html {
  return shell(
    "Are you sure?",
    html`<main class="small">
      <h1>Are you sure?</h1>
      <p>${question}</p>
      <form method="post" action="/commands">
        ${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
        <div class="acts"><a href="/">Cancel</a> <button type="submit" class="no" autofocus>Yes</button></div>
      </form>
    </main>`,
  );
}

export function refusedPage(title: string, why: string): Html {
  return shell(
    title,
    html`<main class="small">
      <h1>${title}</h1>
      <p>${why}</p>
      <p><a href="/">Back to the panel</a></p>
    </main>`,
  );
}
