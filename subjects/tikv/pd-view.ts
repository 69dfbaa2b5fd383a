import type { Clock, Component } from "../../harness/protocol.ts";
import type { MemberAnswers } from "./kit/clients/pd.ts";
import { type LeaderChoice, chooseLeader } from "./kit/clients/pd-leader.ts";
import type { PdLeaderView } from "./observation.ts";

/**
 * Follows who leads PD from one survey to the next. A member that only a minority names is believed when it is named
 * twice in a row: a leader that was frozen goes on naming itself for up to a second after it wakes.
 */
export class LeaderWatch {
  readonly #clock: Clock;
  readonly #gapMs: number;
  #previous: Component | null = null;
  #leader: { readonly name: Component; readonly sinceMs: number; seenMs: number } | null = null;

  /** `gapMs`: a leader unseen for longer may have been replaced and elected again (PD's lease, 3 s at the least). */
  constructor(clock: Clock, gapMs: number) {
    this.#clock = clock;
    this.#gapMs = gapMs;
  }

  next(survey: readonly MemberAnswers[]): PdLeaderView | null {
    const choice = chooseLeader(new Map(survey.map(({ member, leader }) => [member, leader.ok ? leader.value : null])));
    const believed = choice !== null && (choice.byMajority || choice.name === this.#previous) ? choice : null;
    this.#previous = choice?.name ?? null;
    return believed === null ? null : this.#lead(believed);
  }

  #lead({ name, votes, of }: LeaderChoice): PdLeaderView {
    const now = this.#clock.monotonic();
    const known = this.#leader;
    if (known === null || known.name !== name || now - known.seenMs > this.#gapMs)
      this.#leader = { name, sinceMs: now, seenMs: now };
    else known.seenMs = now;
    return { name, votes, of, forMs: now - (this.#leader?.sinceMs ?? now) };
  }
}

/** The stores as the believed leader sees them: from itself, else through a member that names it. */
export function storesAsSeenBy(leader: Component, survey: readonly MemberAnswers[]): MemberAnswers["stores"] {
  const itself = survey.find(({ member }) => member === leader);
  const named = survey.filter((one) => one.member !== leader && one.leader.ok && one.leader.value === leader);
  const answers = [...(itself === undefined ? [] : [itself]), ...named].map((one) => one.stores);
  const first = answers.find((stores) => stores.ok) ?? answers[0];
  if (first === undefined) throw new Error(`nobody names ${leader} as leader`);
  return first;
}
