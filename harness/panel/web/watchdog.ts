import { html } from "hono/html";
import type { WatchdogTargetRow } from "../control-port.ts";
import type { Sight } from "../sight.ts";
import { clockTime, none, section, since, staleness, state, until, type Html, type Level } from "./markup.ts";
import type { EpochMs } from "../../base/clock.ts";

const SHOWN_EVENTS = 12;

const LEVELS: Readonly<Record<string, Level>> = { healthy: "ok", unhealthy: "warn" };

interface EventLine {
  readonly at: EpochMs;
  readonly target: string;
  readonly kind: string;
  readonly text: string;
}

/**
 * What the watchdog thinks of each container and what it did. It tells the ticket file, which is read through the
 * compose-agent, and the panel itself: so there is something to show when the compose-agent is down.
 */
export function watchdogSection(sight: Sight): Html {
  const beats = sight.parts.find(({ part }) => part === "watchdog");
  const read = sight.watchdog;
  // Fresher than what was read before it could no longer be read.
  const direct = (read.why !== null || read.value === null) && beats?.status.targets !== undefined;
  const targets = direct
    ? (beats?.status.targets ?? []).map((one) => directTarget(one))
    : (read.value?.targets ?? []).map((one) => readTarget(one));
  const events = direct
    ? (beats?.status.events ?? []).map((one) => ({ ...one, at: one.at as EpochMs }))
    : readEvents(sight);
  const heard =
    beats === undefined
      ? state("idle", "not registered")
      : beats.gone
        ? html`${state("bad", "gone")} <span class="dim">last heard ${since(beats.heardAt)}</span>`
        : state("ok", "watching");
  const latest = events.toSorted((a, b) => b.at - a.at).slice(0, SHOWN_EVENTS);
  return section(
    "watchdog",
    "Watchdog",
    html`${
      targets.length === 0
        ? none("It watches nothing, as far as is known here.")
        : html`<ul class="rows">
            ${targets}
          </ul>`
    }
    ${latest.length === 0 ? "" : history(latest)} ${staleness(read)}`,
    html`<p>${heard}</p>`,
  );
}

function readTarget(target: WatchdogTargetRow): Html {
  const { component, reason, attempts, maxAttempts, gaveUp, legacy, nextAttemptAt } = target;
  const level: Level = gaveUp ? "bad" : (LEVELS[target.state] ?? "bad");
  const next = nextAttemptAt === null ? "" : html`, next ${until(nextAttemptAt)}`;
  return html`<li>
    <div class="row">
      <strong>${component}</strong> ${state(level, gaveUp ? "given up" : target.state)}
      <span class="dim">${legacy ? "runs from the legacy file" : ""}</span>
    </div>
    ${reason === "" ? "" : html`<p class="dim">${reason}</p>`}
    ${attempts === 0 ? "" : html`<p class="dim">Attempt ${attempts} of ${maxAttempts}${next}</p>`}
  </li>`;
}

function directTarget(one: { readonly target: string; readonly state: string; readonly reason: string }): Html {
  return html`<li>
    <div class="row"><strong>${one.target}</strong> ${state(LEVELS[one.state] ?? "bad", one.state)}</div>
    ${one.reason === "" ? "" : html`<p class="dim">${one.reason}</p>`}
  </li>`;
}

function readEvents({ watchdog }: Sight): readonly EventLine[] {
  return (watchdog.value?.events ?? []).map(({ at, component, kind, reason }) => ({
    at,
    target: component,
    kind,
    text: reason,
  }));
}

function history(events: readonly EventLine[]): Html {
  return html`<details id="watchdog-history" open>
    <summary>Latest decisions</summary>
    <ol class="history">
      ${events.map(
        ({ at, target, kind, text }) =>
          html`<li><span class="dim">${clockTime(at)}</span> <strong>${target}</strong> ${kind}<br />${text}</li>`,
      )}
    </ol>
  </details>`;
}
