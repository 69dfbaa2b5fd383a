import type { Ticket, Tickets } from "../../tickets/index.ts";
import { errorText } from "../base/errors.ts";
import type { InstanceId, Log } from "../protocol.ts";
import type { MonitorEvent } from "./events.ts";
import { type Track, type Tracks, trackKey } from "./track.ts";

/** What the monitor needs of the ticket file. */
export type MonitorTickets = Pick<Tickets, "reportViolation" | "resolveVerified" | "unresolved" | "beat" | "endBeat">;

export interface KeeperOptions {
  readonly instance: InstanceId;
  readonly tickets: MonitorTickets;
  readonly log: Log;
  /** Clear period of an invariant; null when nobody judges it. */
  readonly clearMsOf: (invariant: string) => number | null;
  readonly onEvent: (event: MonitorEvent<never>) => void;
}

/** A ticket that goes on is confirmed this often: that is what drives its count and the verify window. */
const CONFIRM_EVERY_MS = 1_000;

/**
 * Brings the ticket file in line with what is tracked. What fails is tried again at the next call, because the tracks
 * go on saying it: no violation and no recovery is lost to a locked file.
 */
export class TicketKeeper {
  readonly #options: KeeperOptions;
  /** When each violation was last reported, and in which words. */
  readonly #reported = new Map<string, { readonly atMs: number; readonly words: string }>();
  /** When we first saw a ticket: it must hold for its clear period from then on, also a hand-made one. */
  readonly #knownSinceMs = new Map<number, number>();
  #lastProblem = "";

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Never throws. `nowMs` is the time of the observation behind the tracks. */
  async sync(tracks: Tracks, nowMs: number): Promise<void> {
    try {
      for (const track of bySeverity(tracks)) await this.#report(track, nowMs);
      for (const ticket of await this.#options.tickets.unresolved(this.#options.instance))
        await this.#settle(ticket, tracks, nowMs);
      this.#lastProblem = "";
    } catch (error) {
      this.#problem(errorText(error));
    }
  }

  async #report(track: Track, nowMs: number): Promise<void> {
    const { judgement, invariant, component } = track;
    const key = trackKey(invariant, component);
    if (!track.due || judgement.state !== "violated") {
      if (!track.due) this.#reported.delete(key);
      return;
    }
    const words = `${judgement.severity} ${judgement.message}`;
    const last = this.#reported.get(key);
    if (last !== undefined && last.words === words && nowMs - last.atMs < CONFIRM_EVERY_MS) return;
    const { action, ticket } = await this.#options.tickets.reportViolation({
      instance: this.#options.instance,
      invariant,
      component,
      severity: judgement.severity,
      message: judgement.message,
      snapshot: judgement.evidence,
    });
    this.#reported.set(key, { atMs: nowMs, words });
    if (!this.#knownSinceMs.has(ticket.id)) this.#knownSinceMs.set(ticket.id, nowMs);
    if (action === "updated") return;
    this.#options.log.info(`ticket ${action}`, { ticket: ticket.id, invariant, component, text: judgement.message });
    this.#options.onEvent({ type: "ticket", action, ticket });
  }

  async #settle(ticket: Ticket, tracks: Tracks, nowMs: number): Promise<void> {
    const knownSinceMs = this.#knownSinceMs.get(ticket.id) ?? nowMs;
    this.#knownSinceMs.set(ticket.id, knownSinceMs);
    const clearMs = this.#options.clearMsOf(ticket.invariant);
    const heldSinceMs = heldSince(ticket, tracks);
    if (ticket.manual || clearMs === null || heldSinceMs === null) return;
    if (nowMs - Math.max(heldSinceMs, knownSinceMs) < clearMs) return;
    const outcome = await this.#options.tickets.resolveVerified(ticket.id);
    if (outcome !== "resolved") return;
    this.#knownSinceMs.delete(ticket.id);
    this.#options.log.info("ticket resolved", { ticket: ticket.id, invariant: ticket.invariant });
    this.#options.onEvent({ type: "ticket-resolved", ticket });
  }

  /** Once per new problem, not at every pass. */
  #problem(text: string): void {
    if (text === this.#lastProblem) return;
    this.#lastProblem = text;
    this.#options.log.warn("tickets not in line with what is seen", { why: text });
    this.#options.onEvent({ type: "problem", text: `tickets: ${text}` });
  }
}

/**
 * Since when what the ticket is about has held without a break; null = it does not, or nobody knows. A ticket without
 * component about an invariant that is judged per component is about all of them.
 */
function heldSince(ticket: Pick<Ticket, "invariant" | "component">, tracks: Tracks): number | null {
  const own = tracks.get(trackKey(ticket.invariant, ticket.component));
  if (own !== undefined) return own.heldSinceMs;
  if (ticket.component !== null) return null;
  const all = [...tracks.values()].filter((track) => track.invariant === ticket.invariant);
  if (all.length === 0) return null;
  return all.reduce<number | null>(
    (since, { heldSinceMs }) => (since === null || heldSinceMs === null ? null : Math.max(since, heldSinceMs)),
    -Infinity,
  );
}

/** The worst first, so that an incident begins with it. */
function bySeverity(tracks: Tracks): readonly Track[] {
  const rank = ({ judgement }: Track): number =>
    judgement.state !== "violated" ? 2 : judgement.severity === "critical" ? 0 : 1;
  return [...tracks.values()].sort((a, b) => rank(a) - rank(b));
}
