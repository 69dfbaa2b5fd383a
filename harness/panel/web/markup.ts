import { html } from "hono/html";
import { isoTime, type EpochMs } from "../../base/clock.ts";
import type { Seen } from "../sight.ts";

/** Escaped: whatever operators, logs and tickets say goes in as a value of `html` and comes out as text. */
export type Html = ReturnType<typeof html>;

export type Level = "ok" | "warn" | "bad" | "idle";

/** Told apart by shape and word, not by colour alone. */
const SHAPES: Readonly<Record<Level, string>> = { ok: "●", warn: "▲", bad: "■", idle: "○" };

export function state(level: Level, text: string): Html {
  return html`<span class="state ${level}"><span aria-hidden="true">${SHAPES[level]}</span> ${text}</span>`;
}

/** As `state`, of what may have changed since: nothing that is old is shown as well. */
export function oldState(isOld: boolean, level: Level, text: string): Html {
  return state(isOld && level === "ok" ? "idle" : level, text);
}

/** An instant; the script makes "12 s ago" of it. */
export function since(at: EpochMs): Html {
  return html`<time datetime="${isoTime(at)}" data-since="${at}" title="${isoTime(at)}">${clockTime(at)}</time>`;
}

/** An instant to come; the script makes "in 12 s" of it. */
export function until(at: EpochMs): Html {
  return html`<time datetime="${isoTime(at)}" data-until="${at}" title="${isoTime(at)}">at ${clockTime(at)}</time>`;
}

export function clockTime(at: EpochMs): string {
  return `${isoTime(at).slice(11, 19)} UTC`;
}

/** A landmark with its heading. */
export function section(id: string, title: string, body: Html, aside: Html | "" = ""): Html {
  return html`<section id="${id}" aria-labelledby="${id}-title">
    <header>
      <h2 id="${id}-title">${title}</h2>
      ${aside}
    </header>
    ${body}
  </section>`;
}

export function none(text: string): Html {
  return html`<p class="none">${text}</p>`;
}

/**
 * Says what could not be read and how old what is shown is; nothing where all is well. Why is said once, with the
 * control planes: where whoever is asked does not answer at all (`health`), it is the same everywhere.
 */
export function staleness(seen: Seen<unknown>, health?: Seen<unknown>): Html | "" {
  if (seen.why === null) return "";
  const old = seen.at === null ? html`` : html` What is shown was read ${since(seen.at)}.`;
  const why = health !== undefined && health.why !== null ? "." : `: ${seen.why}.`;
  return html`<p class="stale">${state("warn", "cannot be read now")}${why}${old}</p>`;
}

export function duration(seconds: number): string {
  const parts = [
    { unit: "d", of: 86_400 },
    { unit: "h", of: 3_600 },
    { unit: "min", of: 60 },
  ];
  const big = parts.find(({ of }) => seconds >= of * 2);
  return big === undefined ? `${Math.max(0, Math.round(seconds))} s` : `${Math.floor(seconds / big.of)} ${big.unit}`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** At most so many characters, and a word about the rest. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}\n… (${text.length - most} more characters)`;
}
