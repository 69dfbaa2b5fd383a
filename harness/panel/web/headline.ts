import { html } from "hono/html";
import type { Sight } from "../sight.ts";
import { openIncidents } from "./incidents.ts";
import { plural, state, type Html, type Level } from "./markup.ts";

/** The one sentence to look at first; announced when it changes. */
export function headline(sight: Sight): Html {
  const [level, text] = wordsOf(sight);
  return html`<div id="headline" class="headline ${level}" role="status">
    ${state(level, text)}${
      sight.legacy === null || isSilent(sight)
        ? ""
        : html` <span class="dim">Legacy mode: the agent holds the engine itself and answers here.</span>`
    }
  </div>`;
}

/** Nobody answers: neither the compose-agent nor an agent in its place. */
function isSilent({ health, parts, legacy }: Sight): boolean {
  return health.why !== null || parts.some(({ agentId, gone }) => gone && agentId === legacy?.agentId);
}

function wordsOf(sight: Sight): readonly [Level, string] {
  const { health, approvals, tickets, watchdog, parts } = sight;
  const waiting = (approvals.value ?? []).filter(({ status }) => status === "waiting").length;
  if (isSilent(sight)) {
    if (sight.legacy !== null)
      return ["bad", "The agent does not answer, and there is no compose-agent: what is shown is old"];
    if (health.at === null) return ["bad", "The compose-agent has not answered yet: nothing is known of incidents"];
    return ["bad", "The compose-agent does not answer: what is shown is old, and commands are refused"];
  }
  if (health.value === null) return ["idle", "Asking the compose-agent"];
  const open = openIncidents(tickets.value ?? []);
  if (waiting > 0) {
    const what = `${plural(waiting, "proposal")} ${waiting === 1 ? "waits" : "wait"} for a person`;
    return ["warn", open.length === 0 ? what : `${what}: ${plural(open.length, "incident")} open`];
  }
  if (tickets.why !== null) return ["bad", "Tickets cannot be read: nobody can say here whether there is an incident"];
  const given = (watchdog.value?.targets ?? []).filter(({ gaveUp }) => gaveUp).map(({ component }) => component);
  if (given.length > 0) return ["bad", `The watchdog has given up on ${given.join(", ")}`];
  const gone = [...new Set(parts.filter((one) => one.gone).map(({ part }) => part))];
  const escalated = open.filter((one) => one.escalated).length;
  if (escalated > 0) return ["bad", `${plural(escalated, "incident")} escalated: a person is needed`];
  if (open.length > 0) {
    const worked = open.filter((one) => one.worked).length;
    const critical = open.some((one) => one.critical);
    const claimed = open.every(({ tickets: own }) => own.every(({ status }) => status === "diagnosed"));
    const who =
      worked > 0 ? "an operator is at work" : claimed ? "said to be fixed, not verified yet" : "nobody works on it yet";
    return [critical ? "bad" : "warn", `${plural(open.length, "incident")} open: ${who}`];
  }
  if (gone.length > 0) return ["warn", `No open incident, but gone: ${gone.join(", ")}`];
  const lost = (["engine", "audit"] as const).filter((part) => health.value?.[part]?.ok === false);
  if (lost.length > 0) return ["warn", `No open incident, but this does not work: ${lost.join(", ")}`];
  if (tickets.value === null) return ["idle", "Tickets have not been read yet"];
  if (sight.monitored === false)
    return ["warn", "No open incident, but no monitor is at work: nobody would notice one"];
  return ["ok", "All quiet: no open incident"];
}
