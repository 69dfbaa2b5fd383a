import type { EpochMs } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { NewWatchdogEvent } from "../../../tickets/watchdog-events.ts";
import { judge, type Judgement, type Look } from "./judge.ts";
import { rememberLook, type WatchMemory } from "./memory.ts";
import type { WatchdogSettings } from "./settings.ts";

/** What is to be done now. One at a time; each has been counted before it begins. */
export type Act =
  | { readonly kind: "none" }
  | { readonly kind: "restart" }
  | { readonly kind: "unpause" }
  | { readonly kind: "recreate" }
  | { readonly kind: "use-image"; readonly imageId: string };

export interface Decision {
  readonly memory: WatchMemory;
  readonly judgement: Judgement;
  readonly act: Act;
  /** It has been well for the stable period: its image is worth keeping, and a fallback may end. */
  readonly stable: boolean;
  readonly events: readonly NewWatchdogEvent[];
}

/** The pause before attempt `n`, counted from 0. Draws once from `random`. */
export function backoffMs(n: number, settings: WatchdogSettings, random: Pick<Random, "next">): number {
  const { backoffBaseMs, backoffFactor, backoffCapMs, backoffJitter } = settings;
  const plain = Math.min(backoffBaseMs * backoffFactor ** n, backoffCapMs);
  return Math.round(Math.min(plain * (1 + backoffJitter * (2 * random.next() - 1)), backoffCapMs));
}

/**
 * The whole of what the watchdog decides, given what it remembers and what it sees. Pure but for the draw from
 * `random`.
 */
export function decide(
  before: WatchMemory,
  look: Look,
  settings: WatchdogSettings,
  random: Pick<Random, "next">,
): Decision {
  const asked = askedAnew(before, look);
  const judgement = judge(look, asked.memory, settings);
  const memory = rememberLook(asked.memory, look.container, look.at);
  const step = new Step(memory, look, judgement, settings, random);
  if (asked.by !== null) step.tell("reset", `${asked.by}: attempts begin anew`);
  step.run();
  return step.decision();
}

/** Somebody asked for it to run after we had begun to count (`lab agent up`, `lab watchdog reset`). */
function askedAnew(
  memory: WatchMemory,
  { wanted }: Look,
): { readonly memory: WatchMemory; readonly by: string | null } {
  if (wanted === null || wanted.at <= (memory.intentAt ?? 0)) return { memory, by: null };
  const noted = { ...memory, intentAt: wanted.at };
  if (wanted.state === "stopped") return { memory: noted, by: null };
  const fresh = { ...noted, ...EPISODE_OVER, stop: null };
  return { memory: fresh, by: memory.gaveUp || memory.attempts > 0 ? wanted.by : null };
}

const EPISODE_OVER = {
  attempts: 0,
  gaveUp: false,
  dueAt: null,
  badSince: null,
  rises: 0,
  riseAt: null,
  triedImage: null,
  failedCall: false,
  owes: null,
} as const;

class Step {
  #memory: WatchMemory;
  #act: Act = { kind: "none" };
  #stable = false;
  readonly #events: NewWatchdogEvent[] = [];
  readonly #look: Look;
  readonly #judgement: Judgement;
  readonly #settings: WatchdogSettings;
  readonly #random: Pick<Random, "next">;

  constructor(
    memory: WatchMemory,
    look: Look,
    judgement: Judgement,
    settings: WatchdogSettings,
    random: Pick<Random, "next">,
  ) {
    this.#memory = memory;
    this.#look = look;
    this.#judgement = judgement;
    this.#settings = settings;
    this.#random = random;
  }

  decision(): Decision {
    return {
      memory: this.#memory,
      judgement: this.#judgement,
      act: this.#act,
      stable: this.#stable,
      events: this.#events,
    };
  }

  run(): void {
    const judgement = this.#judgement;
    switch (judgement.state) {
      case "healthy":
        return this.#healthy(judgement.text);
      case "glibc-mismatch":
        return this.#mismatch(judgement.text);
      case "not-found":
        return judgement.curable ? this.#trouble("not-found", true) : this.#leave(judgement.text, "state");
      case "unhealthy":
        if (judgement.reason === "stopped") return this.#leave(judgement.text, "left-alone");
        return this.#trouble(judgement.reason, judgement.curable);
    }
  }

  tell(kind: NewWatchdogEvent["kind"], reason: string): void {
    const { at } = this.#look;
    this.#events.push({ at, kind, state: this.#judgement.state, reason, attempt: this.#memory.attempts });
  }

  #healthy(text: string): void {
    const { at, container } = this.#look;
    const starting = container?.health === "starting";
    const goodSince = starting ? null : (this.#memory.goodSince ?? at);
    const inTrouble = this.#memory.badSince !== null || this.#memory.gaveUp;
    this.#set({ goodSince });
    this.#tellOnce(
      starting ? "healthy/starting" : "healthy",
      inTrouble ? `${text}; trouble is over when that has lasted ${seconds(this.#settings.stableMs)}` : text,
    );
    if (goodSince === null || at - goodSince < this.#settings.stableMs) return;
    this.#stable = true;
    this.#set({ goodImage: container?.imageId ?? null });
    if (!inTrouble && this.#memory.attempts === 0) return;
    const used = this.#memory.attempts;
    this.#set(EPISODE_OVER);
    this.tell("stable", `has been well for ${seconds(this.#settings.stableMs)} after ${attempts(used)}`);
  }

  /** Restarting cannot cure a wrong binary: back to the image that worked, at once, or nothing. */
  #mismatch(text: string): void {
    const { container } = this.#look;
    const { goodImage, triedImage } = this.#memory;
    this.#set({ goodSince: null, badSince: this.#memory.badSince ?? this.#look.at });
    this.#tellOnce("glibc-mismatch", `its program needs a newer C library than its image has: ${text}`);
    if (this.#memory.gaveUp) return;
    if (goodImage === null) return this.#giveUp(`${text}; no image is known that worked`);
    if (goodImage === container?.imageId || goodImage === triedImage)
      return this.#giveUp(`${text}; the last image that worked (${short(goodImage)}) does not either`);
    this.#set({ triedImage: goodImage });
    this.#begin(
      { kind: "use-image", imageId: goodImage },
      `going back to the last image that worked, ${short(goodImage)}`,
    );
  }

  #trouble(reason: string, curable: boolean): void {
    const { at } = this.#look;
    const { text } = this.#judgement;
    const first = this.#memory.badSince === null;
    this.#set({ goodSince: null, badSince: this.#memory.badSince ?? at });
    if (this.#memory.gaveUp) return this.#tellOnce(reason, text);
    if (this.#memory.dueAt === null) this.#schedule();
    const inMs = (this.#memory.dueAt ?? at) - at;
    this.#tellOnce(reason, first ? `${text}; attempt 1 in ${seconds(inMs)} if that goes on` : text);
    if (!curable || inMs > 0) return;
    if (this.#memory.attempts >= this.#settings.maxAttempts)
      return this.#giveUp(`${text} after ${attempts(this.#memory.attempts)}`);
    this.#begin(this.#cure(), text);
  }

  #cure(): Act {
    if (this.#judgement.state === "not-found") return { kind: "recreate" };
    // What a restart was refused for, such as a lost network namespace, is made anew with the container.
    if (this.#memory.failedCall && this.#judgement.state === "unhealthy" && this.#judgement.reason !== "paused")
      return { kind: "recreate" };
    return this.#judgement.state === "unhealthy" && this.#judgement.reason === "paused"
      ? { kind: "unpause" }
      : { kind: "restart" };
  }

  /** The attempt is counted, and the next pause set, before it begins: also one that fails, or that kills us. */
  #begin(act: Act, why: string): void {
    const { at } = this.#look;
    this.#act = act;
    this.#set({ attempts: this.#memory.attempts + 1, acting: { act: act.kind, at } });
    this.#schedule();
    const wait = seconds((this.#memory.dueAt ?? at) - at);
    this.tell("attempt", `${act.kind}: ${why} (attempt ${this.#memory.attempts}; the next not before ${wait})`);
  }

  #giveUp(why: string): void {
    // In one transaction with the event: a ticket that cannot be written now, or a watchdog that is killed, loses neither.
    const owes = { ticket: true, fallback: true, text: this.#judgement.text };
    this.#set({ gaveUp: true, dueAt: null, owes });
    this.tell("gave-up", why);
  }

  /** Nothing of ours to mend. What was counted before is over. */
  #leave(text: string, kind: "state" | "left-alone"): void {
    this.#set({ ...EPISODE_OVER, goodSince: null });
    if (this.#memory.told !== text) this.tell(kind, text);
    this.#set({ told: text });
  }

  #schedule(): void {
    this.#set({
      dueAt: (this.#look.at + backoffMs(this.#memory.attempts, this.#settings, this.#random)) as EpochMs,
    });
  }

  #tellOnce(key: string, text: string): void {
    if (this.#memory.told === key) return;
    this.tell("state", text);
    this.#set({ told: key });
  }

  #set(change: Partial<WatchMemory>): void {
    this.#memory = { ...this.#memory, ...change };
  }
}

const seconds = (ms: number): string => `${Math.max(0, Math.round(ms / 100) / 10)} s`;
const attempts = (count: number): string => (count === 1 ? "one attempt" : `${count} attempts`);
const short = (imageId: string): string => imageId.replace(/^sha256:/, "").slice(0, 12);
