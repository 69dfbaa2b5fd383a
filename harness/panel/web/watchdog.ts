import { html } from "hono/html";
import type { WatchdogTargetRow } from "../control-port.ts";
import type { KnownPart } from "../parts.ts";
import type { Sight } from "../sight.ts";
import { clockTime, none, oldState, section, since, staleness, state, until, type Html, type Level } from "./markup.ts";
import type { EpochMs } from "../../base/clock.ts";

const SHOWN_EVENTS = 12;
/** What the watchdog says of itself. */
const OWN_ROW = "watchdog";

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
  // What nobody looks at any more, or nobody here can read.
  const isOld = direct ? beats?.gone === true : read.why !== null || !isWatching(sight, beats);
  const targets = direct
    ? (beats?.status.targets ?? []).filter(({ target }) => target !== OWN_ROW).map((one) => directTarget(one, isOld))
    : (read.value?.targets ?? []).filter(({ component }) => component !== OWN_ROW).map((one) => readTarget(one, isOld));
  const events = direct
    ? (beats?.status.events ?? []).map((one) => ({ ...one, at: one.at as EpochMs }))
    : readEvents(sight);
  const latest = events.toSorted((a, b) => b.at - a.at).slice(0, SHOWN_EVENTS);
  return section(
    "watchdog",
    "Watchdog",
    html`${
      targets.length === 0
        ? none("It watches nothing, as far as is known here.")
        : html`<ul class="rows ${isOld ? "old" : ""}">
            ${targets}
          </ul>`
    }
    ${latest.length === 0 ? "" : history(latest)} ${staleness(read, sight.health)}`,
    html`<p>${heard(sight, beats)}</p>`,
  );
}

/** By its own beats at the panel, or by the row that it keeps in the ticket file. */
function heard(sight: Sight, beats: KnownPart | undefined): Html {
  if (isWatching(sight, beats)) return state("ok", "watching");
  const own = ownRow(sight);
  const last = Math.max(beats?.heardAt ?? 0, own?.lookedAt ?? 0) as EpochMs;
  if (last === 0) return state("idle", "none has been heard of");
  const word = own?.everyMs === 0 ? state("warn", "ended") : state("bad", "gone");
  return html`${word} <span class="dim">last heard ${since(last)}</span>`;
}

function isWatching(sight: Sight, beats: KnownPart | undefined): boolean {
  if (beats !== undefined && !beats.gone) return true;
  const own = ownRow(sight);
  return own !== undefined && own.everyMs > 0 && sight.now - own.lookedAt < 3 * own.everyMs;
}

function ownRow({ watchdog }: Sight): WatchdogTargetRow | undefined {
  if (watchdog.why !== null) return undefined;
  return watchdog.value?.targets.find(({ component }) => component === OWN_ROW);
}

function readTarget(target: WatchdogTargetRow, isOld: boolean): Html {
  const { component, reason, attempts, maxAttempts, gaveUp, legacy, nextAttemptAt } = target;
  const level: Level = gaveUp ? "bad" : (LEVELS[target.state] ?? "bad");
  const next = nextAttemptAt === null ? "" : html`, next ${until(nextAttemptAt)}`;
  return html`<li>
    <div class="row">
      <strong>${component}</strong> ${oldState(isOld, level, gaveUp ? "given up" : target.state)}
      <span class="dim">${legacy ? "runs from the legacy file" : ""}</span>
    </div>
    ${reason === "" ? "" : html`<p class="dim">${reason}</p>`}
    ${attempts === 0 ? "" : html`<p class="dim">Attempt ${attempts} of ${maxAttempts}${next}</p>`}
  </li>`;
}

function directTarget(
  one: { readonly target: string; readonly state: string; readonly reason: string },
  isOld: boolean,
): Html {
  return html`<li>
    <div class="row"><strong>${one.target}</strong> ${oldState(isOld, LEVELS[one.state] ?? "bad", one.state)}</div>
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
