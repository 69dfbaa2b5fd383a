import { describe, expect, test } from "vitest";
import { seededRandom } from "../../harness/base/random.ts";
import type { Component, EpochMs, LogLine } from "../../harness/protocol.ts";
import type { RawResult } from "../../subjects/tikv/workload/raw-client.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { drawRound, livesOn } from "../soak/draw-round.ts";
import { EXPECTED_LINES, unexpectedLines, type Harm } from "../soak/expected-lines.ts";
import { SettledLoad } from "../soak/settled-load.ts";
import { slopeWithinLives, summarizeVitals, type Vital } from "../soak/vitals.ts";

const at = (ms: number): EpochMs => ms as EpochMs;

describe("rounds of the soak", () => {
  const rounds = Array.from({ length: 400 }, (_, n) => drawRound(n + 1, seededRandom(7)));

  test("never harm two of the same three", () => {
    for (const { victims } of rounds) {
      const roles = victims.map(({ predicate }) => (predicate.startsWith("pd") ? "pd" : "tikv"));
      expect(new Set(roles).size).toBe(victims.length);
    }
  });

  test("know every kind, and everybody is harmed sometimes, also two at once", () => {
    const victims = rounds.flatMap((round) => round.victims);
    expect(new Set(rounds.slice(0, 4).map((round) => round.victims[0]?.kind)).size).toBe(4);
    expect(new Set(victims.map(({ predicate }) => predicate)).size).toBe(4);
    expect(rounds.some((round) => round.victims.length === 2)).toBe(true);
  });

  test("are the same for the same seed", () => {
    expect(drawRound(9, seededRandom(7))).toEqual(rounds[8]);
    expect(Array.from({ length: 9 }, (_, n) => drawRound(n + 1, seededRandom(8)))).not.toEqual(rounds.slice(0, 9));
  });

  test("end no process that has to live on while memory is watched, but for one store and one member of PD", () => {
    const kinds = (target: string) =>
      new Set(rounds.flatMap(({ victims }) => victims.map((each) => livesOn(each, target as Component).kind)));
    expect(kinds("tikv0")).toEqual(new Set(["hang", "isolate"]));
    expect(kinds("tikv2").size).toBe(4);
  });
});

describe("load that overwrites the same keys", () => {
  /** A store that forgets what it acknowledged for one key. */
  class Store {
    readonly values = new Map<string, string>();
    #puts = 0;
    readonly #forgetful: boolean;
    constructor(forgetful: boolean) {
      this.#forgetful = forgetful;
    }
    async put(key: string, value: string): Promise<RawResult> {
      if (this.#forgetful && ++this.#puts === 700) return { outcome: "ok", value: null, error: null };
      this.values.set(key, value);
      return { outcome: "ok", value: null, error: null };
    }
    async get(key: string): Promise<RawResult> {
      return { outcome: "ok", value: this.values.get(key) ?? null, error: null };
    }
  }
  const loaded = async (store: Store) => {
    const clock = new ManualClock();
    const load = new SettledLoad({ client: store, clock, ratePerSecond: 16_000 });
    for (let ms = 0; ms < 200; ms++) await clock.advance(1);
    await load.stop();
    return { load, back: await load.readBack(new AbortController().signal) };
  };

  test("keeps as many as it has, and finds each as it was written last", async () => {
    const store = new Store(false);
    const { load, back } = await loaded(store);
    expect(store.values.size).toBe(512);
    expect(load.acknowledged).toBeGreaterThan(1_000);
    expect({ ...back, said: load.wrong }).toEqual({ unread: 0, wrong: 0, said: [] });
  });

  test("finds a write that was acknowledged and not done", async () => {
    const { load } = await loaded(new Store(true));
    expect(load.wrong[0]).toMatch(/^k.-settled-\d+ holds/);
  });
});

describe("lines of a node's log", () => {
  const harm: Harm = { kind: "kill", target: "tikv1" as Component, fromMs: at(1_000), untilMs: at(9_000) };
  const line = (ms: number, text: string): LogLine => ({ at: at(ms), stream: "stderr", text });
  const text = (level: string, message: string): string =>
    `[2026/01/02 03:04:05.678 +00:00] [${level}] [raft_client.rs:593] ["${message}"] [store_id=4]`;
  const judged = (...lines: LogLine[]): string[] =>
    unexpectedLines("tikv0" as Component, "tikv", lines, [harm]).map((each) => each.text);

  test("are expected of what was going on, and soon after", () => {
    expect(
      judged(line(2_000, text("ERROR", "connection abort")), line(12_000, text("WARN", "wait connect timeout"))),
    ).toEqual([]);
  });

  test("are not when nobody was harmed", () => {
    expect(judged(line(60_000, text("ERROR", "connection abort")))).toHaveLength(1);
  });

  test("are never when nobody knows them, when they are fatal, or without a level", () => {
    const strange = [
      text("ERROR", "entry 7 is committed"),
      text("FATAL", "connection abort"),
      "    at Object.<anonymous>",
    ];
    expect(judged(...strange.map((each) => line(2_000, each)))).toEqual(strange);
  });

  test("are ordinary up to INFO", () => {
    expect(judged(line(60_000, text("INFO", "became leader at term")))).toEqual([]);
  });

  test("that are expected say why", () => {
    for (const { why } of EXPECTED_LINES) expect(why.length).toBeGreaterThan(20);
  });
});

describe("growth", () => {
  const vital = (life: number, second: number, megabytes: number): Vital => ({
    component: "tikv0" as Component,
    atMs: second * 1_000,
    wallMs: at(second * 1_000),
    life,
    residentBytes: megabytes * 1e6,
    openFiles: 30,
    answerMs: second < 50 ? 10 : 4_000,
  });

  test("is what one life gains, however differently lives begin", () => {
    const first = Array.from({ length: 90 }, (_, n) => vital(1, n, 150 + n));
    const second = Array.from({ length: 90 }, (_, n) => vital(2, 100 + n, 90 + n));
    expect(slopeWithinLives([...first, ...second])).toBeCloseTo(1e6 / 1_000, 3);
  });

  test("is told of the time without new data, after a process has settled; nothing is told of too little", () => {
    const flat = Array.from({ length: 200 }, (_, n) => vital(1, n, n < 90 ? 10 + n : 100));
    const [row] = summarizeVitals(flat, (wallMs) => wallMs < 50_000, 30_000);
    expect(row).toMatchObject({ largestMb: 100, answerP50Ms: 10, answerP99Ms: 10 });
    expect(row?.growthMbPerMinute).toBeCloseTo(0, 5);
    expect(slopeWithinLives(flat.slice(0, 5))).toBeNull();
  });
});
