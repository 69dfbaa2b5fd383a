import { describe, expect, test } from "vitest";
import type { EpochMs } from "../../harness/base/clock.ts";
import { TicketClock } from "../../tickets/ticket-clock.ts";
import { timeOf, timeText } from "../../tickets/time-form.ts";
import { ManualClock } from "../support/manual-clock.ts";

describe("ticket clock", () => {
  test("goes on while the wall clock is set back", async () => {
    const clock = new ManualClock();
    const time = new TicketClock(clock);
    const before = time.now(0);
    clock.jump(-3_600_000);
    await clock.advance(1_000);
    expect(time.now(0) - before).toBe(1_000);
  });

  test("a process that starts after the clock was set back goes on from what the file has seen, not from its own", async () => {
    const clock = new ManualClock();
    const seen = new TicketClock(clock).now(0);
    clock.jump(-3_600_000);
    const late = new TicketClock(clock);
    expect(late.now(seen)).toBe(seen);
    await clock.advance(250);
    expect(late.now(seen)).toBe(seen + 250);
  });

  test("follows the wall clock forward, e.g. over a suspended laptop", () => {
    const clock = new ManualClock();
    const time = new TicketClock(clock);
    const before = time.now(0);
    clock.jump(60_000);
    expect(time.now(0) - before).toBe(60_000);
  });
});

describe("time in text", () => {
  const at = Date.UTC(2026, 10, 21, 23, 0, 0, 120) as EpochMs;

  test("ours is UTC and says so", () => expect(timeText(at, "utc")).toBe("2026-11-21T23:00:00.120Z"));

  test("both forms are read back as the moment that they were written", () => {
    expect(timeOf(timeText(at, "utc"))).toBe(at);
    expect(timeText(at, "local")).not.toMatch(/Z|\+/);
    expect(timeOf(timeText(at, "local"))).toBe(at);
  });

  test("SQLite's own form is read too", () => {
    expect(timeOf("2026-11-21 23:00:00")).toBe(timeOf("2026-11-21T23:00:00"));
  });
});
