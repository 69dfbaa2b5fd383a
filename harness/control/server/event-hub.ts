import type { Clock } from "../../base/clock.ts";
import { Bell } from "./bell.ts";

/** What happened, for who watches: commands, containers, tickets. */
export interface HubEvent {
  readonly id: string;
  readonly type: "command" | "engine" | "tickets" | "reset";
  readonly data: unknown;
}

const KEPT = 2_000;

/** The latest events in order. A reader that comes back with the id of the last one it saw misses nothing that is kept. */
export class EventHub {
  readonly #prefix: string;
  readonly #bell: Bell;
  #events: HubEvent[] = [];
  #count = 0;

  /** @param prefix differs at each start: an id of another start is not mistaken for one of this. */
  constructor(prefix: string, clock: Pick<Clock, "sleep">) {
    this.#prefix = prefix;
    this.#bell = new Bell(clock);
  }

  publish(type: HubEvent["type"], data: unknown): void {
    this.#count += 1;
    this.#events.push({ id: `${this.#prefix}-${this.#count}`, type, data });
    if (this.#events.length > 2 * KEPT) this.#events = this.#events.slice(-KEPT);
    this.#bell.ring();
  }

  get last(): string {
    return `${this.#prefix}-${this.#count}`;
  }

  /** What came after `id`. One that is not known any more: `reset` first, then everything that is kept. */
  after(id: string): readonly HubEvent[] {
    const [prefix, number = ""] = id.split("-");
    const seen = prefix === this.#prefix && /^\d+$/.test(number) ? Number(number) : null;
    const first = this.#count - this.#events.length;
    if (seen !== null && seen >= first && seen <= this.#count) return this.#events.slice(seen - first);
    return [{ id: `${this.#prefix}-${first}`, type: "reset", data: null }, ...this.#events];
  }

  /** As `after`, but waits up to `ms` for the first. */
  async poll(id: string, ms: number, signal: AbortSignal): Promise<readonly HubEvent[]> {
    const rung = this.#bell.rung;
    const now = this.after(id);
    if (now.length > 0 || ms === 0) return now;
    await this.#bell.wait(rung, ms, signal);
    return this.after(id);
  }
}
