import { html } from "hono/html";
import type { PeoplesCommand } from "../actions.ts";
import type { Html } from "./markup.ts";

interface Words {
  readonly label: string;
  /** What is asked before it is done; null = at once. */
  readonly question: ((target: string) => string) | null;
}

export const COMMAND_WORDS: Readonly<Record<PeoplesCommand, Words>> = {
  start: { label: "Start", question: null },
  unpause: { label: "Resume", question: null },
  restart: { label: "Restart", question: (target) => `Restart ${target}? Its clients will see errors meanwhile.` },
  stop: { label: "Stop", question: (target) => `Stop ${target}? It stays down until somebody starts it.` },
  pause: { label: "Pause", question: (target) => `Pause ${target}? It hangs for its clients until it is resumed.` },
  ticket_hold: {
    label: "Hold",
    question: (target) => `Hold ${target}? Whoever works on it loses it, and no agent takes it until it is given back.`,
  },
  ticket_unhold: { label: "Give back", question: null },
};

export interface CommandFields {
  readonly id: string;
  readonly formToken: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Works without the script: then a page asks what the dialog would have asked. */
export function commandForm({ id, formToken, fields }: CommandFields, buttons: readonly Html[]): Html {
  return html`<form id="${id}" class="acts" method="post" action="/commands" data-live>
    <input type="hidden" name="form_token" value="${formToken}" />
    ${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
    ${buttons}
  </form>`;
}

/** @param target for those who cannot see what row the button is in. */
export function button(id: string, command: PeoplesCommand, target: string): Html {
  const { label, question } = COMMAND_WORDS[command];
  const ask = question === null ? html`` : html`data-confirm="${question(target)}"`;
  return html`<button id="${id}" type="submit" name="command" value="${command}" ${ask}>
    ${label}<span class="sr"> ${target}</span>
  </button>`;
}
