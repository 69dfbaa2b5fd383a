import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HarnessError } from "../../harness/base/errors.ts";
import { silentLog } from "../../harness/base/log.ts";
import { type MonitorEvent, runMonitor } from "../../harness/monitor/index.ts";
import type {
  Component,
  Engine,
  EngineEvent,
  InstanceId,
  Invariant,
  Judgement,
  Observation,
  Reading,
} from "../../harness/protocol.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryTickets } from "../support/monitor-tickets.ts";

const INSTANCE = "i1" as InstanceId;
const TIKV1 = "tikv1" as Component;

/** A subject whose one source says whatever the test wants. */
const up: Invariant = {
  name: "store_up",
  description: "",
  graceMs: 1_000,
  clearMs: 5_000,
  windowMs: 0,
  judge: (window): Judgement[] => {
    const reading = window.at(-1)?.sources["probe"];
    if (reading?.ok !== true) return [{ state: "unknown", component: TIKV1, why: "no data" }];
    if (reading.value === true) return [{ state: "held", component: TIKV1 }];
    const message = "tikv1 does not answer";
    return [{ state: "violated", component: TIKV1, severity: "critical", message, evidence: {} }];
  },
};

/** Engine events that the test sends; `cut` ends the stream as a lost connection does. */
class EventSource implements Pick<Engine, "events"> {
  streams = 0;
  #send: ((event: EngineEvent | Error) => void) | null = null;

  async *events(signal: AbortSignal): AsyncIterable<EngineEvent> {
    this.streams++;
    while (!signal.aborted) {
      const next = await new Promise<EngineEvent | Error | null>((resolve) => {
        this.#send = resolve;
        signal.addEventListener("abort", () => resolve(null), { once: true });
      });
      if (next instanceof Error) throw next;
      if (next !== null) yield next;
    }
  }

  send(action: EngineEvent["action"], at: EngineEvent["at"]): void {
    this.#send?.({ at, component: TIKV1, action, exitCode: null });
  }

  cut(): void {
    this.#send?.(new Error("connection lost"));
  }
}

let clock: ManualClock;
let tickets: MemoryTickets;
let engine: EventSource;
let probe: Reading<unknown>;
let events: MonitorEvent[];
let stop: AbortController;
let running: Promise<void>;
let observations = 0;

const healthy = (): Reading<unknown> => ({ ok: true, value: true, at: clock.now() });
const broken = (): Reading<unknown> => ({ ok: true, value: false, at: clock.now() });
const opened = () => events.flatMap((e) => (e.type === "ticket" ? [`${e.action} ${e.ticket.invariant}`] : []));
const resolved = () => events.filter((e) => e.type === "ticket-resolved").length;

beforeEach(() => {
  clock = new ManualClock();
  tickets = new MemoryTickets(() => clock.now());
  engine = new EventSource();
  probe = healthy();
  events = [];
  observations = 0;
  stop = new AbortController();
  const observe = async (): Promise<Observation> => {
    observations++;
    return { at: clock.now(), monotonicMs: clock.monotonic(), sources: { probe } };
  };
  const instance = { id: INSTANCE, subject: "tikv", timeFactor: 1, invariants: [up], observe, engine };
  const deps = { clock, log: silentLog, ids: { hex: () => "00" } };
  const onEvent = (event: MonitorEvent) => void events.push(event);
  running = runMonitor({ instance, tickets, deps, intervalMs: 10_000, onEvent }, stop.signal);
});

afterEach(async () => {
  stop.abort();
  await clock.advance(0);
  await running;
});

describe("engine events", () => {
  test("make it look at once, so that a ticket stands right after the grace", async () => {
    await clock.advance(3_000);
    probe = broken();
    engine.send("die", clock.now());
    await clock.advance(1_200);
    expect(opened()).toEqual(["opened store_up"]);
  });

  test("are never a verdict: nothing opens while what is seen holds", async () => {
    await clock.advance(3_000);
    engine.send("die", clock.now());
    engine.send("oom", clock.now());
    await clock.advance(30_000);
    expect(opened()).toEqual([]);
  });

  test("come back after the stream was cut, and a gap makes it look", async () => {
    await clock.advance(1_000);
    const before = observations;
    engine.cut();
    await clock.advance(400);
    expect(observations).toBe(before + 1);
    expect(engine.streams).toBe(2);
    probe = broken();
    engine.send("die", clock.now());
    await clock.advance(1_200);
    expect(opened()).toEqual(["opened store_up"]);
  });
});

describe("tickets", () => {
  const breakIt = async () => {
    probe = broken();
    engine.send("die", clock.now());
    await clock.advance(1_500);
  };
  const repair = async () => {
    probe = healthy();
    engine.send("start", clock.now());
  };

  test("are confirmed while the violation lasts and resolved after the clear period", async () => {
    await breakIt();
    await clock.advance(20_000);
    expect(tickets.all[0]?.occurrences).toBeGreaterThan(1);
    await repair();
    await clock.advance(4_000);
    expect(resolved()).toBe(0);
    await clock.advance(10_000);
    expect(resolved()).toBe(1);
    expect(tickets.all[0]?.status).toBe("resolved");
  });

  test("are not resolved by silence", async () => {
    await breakIt();
    probe = { ok: false, why: "no route", at: clock.now() };
    await clock.advance(25_000);
    expect(tickets.all.map((t) => t.status)).toEqual(["open"]);
  });

  test("a refused resolution is asked again", async () => {
    await breakIt();
    tickets.refuse = "claimed";
    await repair();
    await clock.advance(30_000);
    expect(resolved()).toBe(0);
    tickets.refuse = null;
    await clock.advance(10_100);
    expect(resolved()).toBe(1);
  });

  test("made by hand must hold for the clear period from when they were first seen", async () => {
    await clock.advance(60_000);
    tickets.add({ instance: INSTANCE, invariant: "store_up", component: TIKV1, severity: "critical", message: "?" });
    await clock.advance(10_000);
    expect(resolved()).toBe(0);
    await clock.advance(10_000);
    expect(resolved()).toBe(1);
  });

  test("made by hand about a whole invariant wait for all its components", async () => {
    tickets.add({ instance: INSTANCE, invariant: "store_up", component: null, severity: "critical", message: "?" });
    probe = broken();
    await clock.advance(60_000);
    expect(resolved()).toBe(0);
    probe = healthy();
    await clock.advance(21_000);
    expect(tickets.all.map((t) => t.status)).toEqual(["resolved", "resolved"]);
  });

  test("that nothing verifies are left alone", async () => {
    const report = { instance: INSTANCE, component: TIKV1, severity: "critical", message: "?" } as const;
    tickets.add({ ...report, invariant: "store_up" }, true);
    tickets.add({ ...report, invariant: "no_such_invariant" });
    await clock.advance(60_000);
    expect(tickets.all.map((t) => t.status)).toEqual(["open", "open"]);
  });

  test("a locked file delays them and loses none", async () => {
    tickets.broken = new HarnessError("tickets-locked", "database is locked");
    await breakIt();
    await clock.advance(20_000);
    expect(opened()).toEqual([]);
    expect(events.filter((e) => e.type === "problem" && e.text.includes("locked")).length).toBeGreaterThan(0);
    tickets.broken = null;
    await clock.advance(10_000);
    expect(opened()).toEqual(["opened store_up"]);
  });

  test("do not care about jumps of the wall clock", async () => {
    probe = broken();
    engine.send("die", clock.now());
    clock.jump(-3_600_000);
    await clock.advance(500);
    clock.jump(7_200_000);
    await clock.advance(400);
    expect(opened()).toEqual([]);
    await clock.advance(300);
    expect(opened()).toEqual(["opened store_up"]);
  });
});

test("a source that stays away gets a ticket of its own", async () => {
  probe = { ok: false, why: "connection refused", at: clock.now() };
  await clock.advance(29_000);
  expect(opened()).toEqual([]);
  await clock.advance(12_000);
  expect(opened()).toEqual(["opened source_missing"]);
  expect(tickets.all[0]?.message).toBe("the monitor gets no data from probe: connection refused");
});

test("somebody is known to verify while it runs", async () => {
  await clock.advance(60_000);
  expect(tickets.beats.length).toBeGreaterThan(3);
  expect(tickets.beats[0]).toMatchObject({ instance: INSTANCE, subject: "tikv" });
  expect(tickets.beats[0]?.invariants).toEqual(["store_up", "source_missing"]);
});
