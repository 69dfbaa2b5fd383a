import { afterEach, describe, expect, test } from "vitest";
import type { EpochMs } from "../../harness/base/clock.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { backoffMs } from "../../harness/control/watchdog/decide.ts";
import { glibcLine } from "../../harness/control/watchdog/judge.ts";
import type { AgentAct, LegacyParts } from "../../harness/control/watchdog/legacy.ts";
import { runWatchdog } from "../../harness/control/watchdog/run-watchdog.ts";
import { watchdogSettingsSchema, type WatchdogSettings } from "../../harness/control/watchdog/settings.ts";
import type { AuditEntry, AuditTrail } from "../../harness/control/audit/index.ts";
import type { WatchedEngine } from "../../harness/engine/watched.ts";
import type { HandMadeTicket } from "../../tickets/index.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryWatchdogLog, ScriptedWatched } from "../support/scripted-watched.ts";

const NO_JITTER = { backoffJitter: 0 };
const settingsOf = (change: Partial<WatchdogSettings> = {}) =>
  watchdogSettingsSchema.parse({ ...NO_JITTER, ...change });

class Bench {
  readonly clock = new ManualClock();
  readonly engine = new ScriptedWatched(this.clock);
  readonly log = new MemoryWatchdogLog();
  readonly tickets: HandMadeTicket[] = [];
  /** Not null = no ticket can be written. */
  ticketsGone: Error | null = null;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  start(settings: Partial<WatchdogSettings> = {}, legacy: LegacyParts | null = null): void {
    this.#stop = new AbortController();
    this.#running = runWatchdog(
      {
        deployment: "operator-agent",
        targets: ["compose-agent"],
        engine: this.engine,
        tickets: {
          watchdog: this.log,
          create: (ticket) => {
            if (this.ticketsGone !== null) return Promise.reject(this.ticketsGone);
            this.tickets.push(ticket);
            return Promise.resolve({ ticket: { id: this.tickets.length } as never, created: true });
          },
        },
        settings: settingsOf(settings),
        legacy,
      },
      { clock: this.clock, random: seededRandom(1), log: silentLog },
      this.#stop.signal,
    );
  }

  /** Ends it as a SIGKILL would: nothing is said or stored after that. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("ended"));
    await this.#running;
  }

  seconds(count: number): Promise<void> {
    return this.clock.advance(count * 1_000);
  }

  async events(...kinds: string[]): Promise<string[]> {
    const all = await this.log.events();
    return all
      .filter(({ component, kind }) => component === "compose-agent" && (kinds.length === 0 || kinds.includes(kind)))
      .map(({ kind, reason }) => `${kind}: ${reason}`);
  }

  async state() {
    return (await this.log.targets()).find(({ component }) => component === "compose-agent");
  }

  get acts(): string[] {
    return this.engine.acts.map(({ act }) => act);
  }
}

const open: Bench[] = [];
function bench(): Bench {
  const made = new Bench();
  open.push(made);
  return made;
}
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
});

describe("back-off", () => {
  const mean = { next: () => 0.5 };

  test("10 s x 1.5^n up to the cap", () => {
    const settings = settingsOf({ backoffJitter: 0.2, backoffCapMs: 60_000 });
    expect([0, 1, 2, 3, 4, 5].map((n) => backoffMs(n, settings, mean))).toEqual([
      10_000, 15_000, 22_500, 33_750, 50_625, 60_000,
    ]);
  });

  test("jitter stretches or shortens each pause by up to its part, never beyond the cap, and comes from the given stream", () => {
    const settings = settingsOf({ backoffJitter: 0.2, backoffCapMs: 11_000 });
    expect(backoffMs(0, settings, { next: () => 0 })).toBe(8_000);
    expect(backoffMs(0, settings, { next: () => 0.999 })).toBe(11_000);
    const draws = (key: number) => {
      const random = seededRandom(key);
      return [0, 1, 2, 3].map((n) => backoffMs(n, settingsOf({ backoffJitter: 0.2 }), random));
    };
    expect(draws(7)).toEqual(draws(7));
    expect(draws(7)).not.toEqual(draws(8));
  });

  test("attempts come at 10, 25, 47.5, 81.25 and 131.875 s; after the pause that follows it gives up with one ticket", async () => {
    const watched = bench();
    watched.start();
    await watched.seconds(1);
    const from = watched.clock.monotonic();
    watched.engine.exit(1);
    watched.engine.tell("die");
    await watched.seconds(600);
    const at = watched.engine.acts.map(({ atMs }) => atMs - from);
    const first = (at[0] ?? 0) - 10_000;
    expect(first).toBeLessThan(1_000);
    expect(at.map((ms) => ms - first)).toEqual([10_000, 25_000, 47_500, 81_250, 131_875]);
    expect(await watched.events("gave-up")).toEqual(["gave-up: ended by itself, exit code 1 after 5 attempts"]);
    expect(watched.tickets).toMatchObject([
      { instance: "operator-agent", component: "compose-agent", severity: "critical", manual: true },
    ]);
    expect(await watched.state()).toMatchObject({ state: "unhealthy", gaveUp: true, attempts: 5, nextAttemptAt: null });
  });

  test("a failed call counts as an attempt, and the next one makes the container anew", async () => {
    const watched = bench();
    watched.engine.onAct = (act) => {
      if (act === "restart") throw new Error("cannot join its network namespace");
    };
    watched.engine.exit(1);
    watched.start({ maxAttempts: 2 });
    await watched.seconds(300);
    expect(watched.acts).toEqual(["restart", "recreate"]);
    expect(await watched.events("attempt-failed")).toEqual([
      "attempt-failed: restart failed: cannot join its network namespace",
    ]);
    expect(await watched.state()).toMatchObject({ gaveUp: true, attempts: 2 });
  });
});

describe("the count", () => {
  test("is not reset by one good look, only by a stable period without a break", async () => {
    const watched = bench();
    // Each restart helps for 20 s.
    watched.engine.onAct = () => watched.engine.run();
    watched.start({ intervalMs: 1_000, stableMs: 60_000 });
    watched.engine.exit(1);
    for (let round = 0; round < 5; round++) {
      while (watched.engine.container?.status === "exited") await watched.seconds(1);
      await watched.seconds(20);
      expect(await watched.state()).toMatchObject({ state: "healthy", attempts: round + 1 });
      watched.engine.exit(1);
    }
    await watched.seconds(400);
    expect(watched.acts).toHaveLength(5);
    expect(await watched.state()).toMatchObject({ gaveUp: true });
    expect(await watched.events("stable")).toEqual([]);
  });

  test("is reset after the stable period, and trouble after that begins with the first pause", async () => {
    const watched = bench();
    watched.engine.onAct = () => watched.engine.run();
    watched.engine.exit(1);
    watched.start({ intervalMs: 1_000, stableMs: 60_000 });
    await watched.seconds(15);
    expect(await watched.state()).toMatchObject({ state: "healthy", attempts: 1 });
    await watched.seconds(61);
    expect(await watched.state()).toMatchObject({ attempts: 0, nextAttemptAt: null });
    expect(await watched.events("stable")).toEqual(["stable: has been well for 60 s after one attempt"]);
    watched.engine.exit(1);
    await watched.seconds(12);
    expect(watched.acts).toEqual(["restart", "restart"]);
  });

  test("begins anew when a person asks for it after it was given up", async () => {
    const watched = bench();
    watched.engine.exit(1);
    watched.start({ maxAttempts: 1 });
    await watched.seconds(120);
    expect(await watched.state()).toMatchObject({ gaveUp: true });
    watched.engine.onAct = () => watched.engine.run();
    await watched.log.intend({
      deployment: "operator-agent",
      component: "compose-agent",
      wanted: "running",
      by: "lab watchdog reset",
      at: watched.clock.now(),
    });
    await watched.seconds(120);
    expect(watched.acts).toEqual(["restart", "restart"]);
    expect(await watched.events("reset")).toEqual(["reset: lab watchdog reset: attempts begin anew"]);
    expect(await watched.state()).toMatchObject({ state: "healthy" });
  });

  test("and a pending pause survive the watchdog: the one that follows waits only for what is left", async () => {
    const watched = bench();
    watched.engine.exit(1);
    watched.start();
    await watched.seconds(12);
    expect(watched.acts).toHaveLength(1);
    await watched.seconds(5);
    await watched.stop();
    const due = (await watched.state())?.nextAttemptAt ?? 0;
    await watched.seconds(3);
    watched.start();
    await watched.seconds(1);
    expect(watched.acts).toHaveLength(1);
    expect(await watched.state()).toMatchObject({ attempts: 1, nextAttemptAt: due });
    await watched.seconds(Math.ceil((due - watched.clock.now()) / 1_000) + 1);
    expect(watched.acts).toHaveLength(2);
    expect(await watched.state()).toMatchObject({ attempts: 2 });
  });

  test("goes on when the wall clock is set back", async () => {
    const watched = bench();
    watched.engine.exit(1);
    watched.start();
    await watched.seconds(1);
    watched.clock.jump(-3_600_000);
    await watched.seconds(12);
    expect(watched.acts).toHaveLength(1);
  });

  test("an attempt in which the watchdog died counts", async () => {
    const watched = bench();
    let done = () => {};
    watched.engine.exit(1);
    watched.engine.restart = () => new Promise<void>((resolve) => (done = resolve));
    watched.start();
    await watched.seconds(11);
    const stored = await watched.log.memory("operator-agent", "compose-agent");
    expect(stored).toMatchObject({ attempts: 1, acting: { act: "restart" } });
    done();
    await watched.stop();
    // What a killed one leaves: the memory from before the act.
    const target = await watched.state();
    if (target === undefined) throw new Error("no state");
    await watched.log.record(target, stored, []);
    watched.start();
    await watched.seconds(1);
    expect(await watched.events("attempt-failed")).toEqual([
      "attempt-failed: the watchdog ended in the middle of its restart; the attempt counts",
    ]);
    expect(await watched.state()).toMatchObject({ attempts: 1 });
  });

  test("given up while no ticket can be written: the ticket comes when it can, also from the next watchdog", async () => {
    const watched = bench();
    watched.ticketsGone = new Error("the disk is full");
    watched.engine.exit(1);
    watched.start({ maxAttempts: 1 });
    await watched.seconds(60);
    expect(await watched.state()).toMatchObject({ gaveUp: true });
    expect(watched.tickets).toEqual([]);
    await watched.stop();
    watched.ticketsGone = null;
    watched.start({ maxAttempts: 1 });
    await watched.seconds(100);
    expect(watched.tickets.map(({ message }) => message)).toEqual([
      "the watchdog gave up on compose-agent: it ended by itself, exit code 1",
    ]);
  });

  test("what could not be written is written with what comes next", async () => {
    const watched = bench();
    const record = watched.log.record.bind(watched.log);
    watched.engine.onAct = () => watched.engine.run();
    watched.start();
    await watched.seconds(1);
    watched.log.record = () => Promise.reject(new Error("the disk is full"));
    watched.engine.exit(1);
    watched.engine.tell("die");
    await watched.seconds(20);
    expect(watched.acts).toEqual(["restart"]);
    watched.log.record = record;
    await watched.seconds(180);
    const kinds = (await watched.events()).map((event) => event.split(":")[0]);
    expect(kinds).toEqual(["state", "state", "attempt", "state", "stable"]);
  });
});

describe("states", () => {
  const cases: readonly {
    readonly name: string;
    readonly bad: (engine: ScriptedWatched) => void;
    readonly state: string;
    readonly reason: string;
    readonly act: string;
  }[] = [
    {
      name: "ended by itself",
      bad: (engine) => engine.exit(3),
      state: "unhealthy",
      reason: "ended by itself, exit code 3",
      act: "restart",
    },
    {
      name: "paused",
      bad: (engine) => engine.set({ status: "paused" }),
      state: "unhealthy",
      reason: "is paused",
      act: "unpause",
    },
    {
      name: "killed for want of memory",
      bad: (engine) => engine.set({ status: "exited", exitCode: 137, oomKilled: true }),
      state: "unhealthy",
      reason: "was killed for want of memory and is down, exit code 137",
      act: "restart",
    },
    {
      name: "a process of it killed for want of memory, and no health check to say that all is well",
      bad: (engine) => engine.tell("oom"),
      state: "unhealthy",
      reason: "runs, but a process of it was killed for want of memory",
      act: "restart",
    },
    {
      name: "failing its health check",
      bad: (engine) => engine.set({ health: "unhealthy", healthOutput: "connection refused\n" }),
      state: "unhealthy",
      reason: "fails its health check: connection refused",
      act: "restart",
    },
    {
      name: "not to be started",
      bad: (engine) => engine.set({ status: "exited", exitCode: 128, startError: "port is already allocated" }),
      state: "unhealthy",
      reason: "could not be started: port is already allocated",
      act: "restart",
    },
  ];

  test.each(cases)("$name: $act", async ({ bad, state, reason, act }) => {
    const watched = bench();
    watched.start();
    await watched.seconds(1);
    bad(watched.engine);
    await watched.seconds(35);
    expect(await watched.state()).toMatchObject({ state, reason });
    await watched.seconds(10);
    expect([...new Set(watched.acts)]).toEqual([act]);
  });

  test("the mark of an old death for want of memory, which Docker keeps, says nothing of the run that follows", async () => {
    const watched = bench();
    watched.engine.tell("oom");
    watched.engine.set({ status: "exited", exitCode: 137, oomKilled: true });
    watched.engine.onAct = () => {
      watched.engine.run();
      watched.engine.set({ oomKilled: true });
    };
    watched.start();
    await watched.seconds(300);
    expect(watched.acts).toEqual(["restart"]);
    expect(await watched.state()).toMatchObject({ state: "healthy", attempts: 0 });
    watched.engine.exit(3);
    await watched.seconds(35);
    expect(await watched.state()).toMatchObject({ reason: "ended by itself, exit code 3" });
  });

  test("unpaused: the engine goes on counting its restarts, and those from before are no loop", async () => {
    const watched = bench();
    watched.engine.set({ restartCount: 3 });
    watched.start();
    await watched.seconds(1);
    watched.engine.onAct = () => watched.engine.set({ status: "running" });
    watched.engine.set({ status: "paused" });
    watched.engine.tell("pause");
    await watched.seconds(120);
    expect(watched.acts).toEqual(["unpause"]);
    expect(await watched.state()).toMatchObject({ state: "healthy" });
  });

  test("removed: made anew from what describes it; one that never was is left alone until somebody wants it", async () => {
    const watched = bench();
    watched.start();
    await watched.seconds(1);
    watched.engine.container = null;
    watched.engine.tell("kill", 9);
    watched.engine.tell("destroy");
    await watched.seconds(11);
    expect(await watched.state()).toMatchObject({ state: "not-found", reason: "has no container" });
    expect(watched.acts).toEqual(["recreate"]);
    const never = bench();
    never.engine.container = null;
    never.start();
    await never.seconds(300);
    expect(never.acts).toEqual([]);
    expect(await never.state()).toMatchObject({ state: "not-found", gaveUp: false });
  });

  test("a rising restart count is unhealthy although it runs; one restart by its policy alone is not worth another", async () => {
    const watched = bench();
    watched.start({ intervalMs: 5_000 });
    await watched.seconds(1);
    watched.engine.set({ restartCount: 1 });
    await watched.seconds(5);
    expect(await watched.state()).toMatchObject({ state: "unhealthy" });
    expect(await watched.events("state")).toContainEqual(expect.stringContaining("one restart since trouble began"));
    await watched.seconds(200);
    expect(watched.acts).toEqual([]);
    expect(await watched.state()).toMatchObject({ state: "healthy" });
    for (let count = 2; count < 5; count++) {
      watched.engine.set({ restartCount: count });
      await watched.seconds(5);
    }
    expect(watched.acts).toEqual(["restart"]);
    expect(watched.engine.container?.status).toBe("running");
  });

  test("a health check that has not answered yet is neither trouble nor its end", async () => {
    const watched = bench();
    watched.engine.set({ health: "starting" });
    watched.start({ intervalMs: 1_000, stableMs: 30_000 });
    await watched.seconds(60);
    expect(watched.acts).toEqual([]);
    expect(watched.engine.kept).toEqual([]);
    watched.engine.onAct = () => {
      watched.engine.run();
      watched.engine.set({ health: "starting" });
    };
    watched.engine.exit(1);
    await watched.seconds(60);
    expect(watched.acts).toEqual(["restart"]);
    expect(await watched.state()).toMatchObject({ state: "unhealthy", attempts: 1 });
    watched.engine.set({ health: "healthy" });
    await watched.seconds(35);
    expect(await watched.state()).toMatchObject({ state: "healthy", attempts: 0 });
  });
});

describe("a binary that needs a newer C library", () => {
  const said = "/app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /app)";

  test("is known by the loader's words", () => {
    expect(glibcLine(["started", said])).toBe(said);
    expect(glibcLine(["x: libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by x)"])).not.toBeNull();
    expect(glibcLine(["version 2.38 not found", "GLIBC_2.38 is fine"])).toBeNull();
  });

  test("is never restarted: it goes to the last image that worked", async () => {
    const watched = bench();
    watched.start({ intervalMs: 1_000, stableMs: 30_000 });
    await watched.seconds(40);
    expect(watched.engine.kept).toEqual(["sha256:aaaa"]);
    watched.engine.onAct = () => {
      watched.engine.set({ imageId: "sha256:aaaa" });
      watched.engine.run();
    };
    watched.engine.set({ id: "second", imageId: "sha256:bbbb" });
    watched.engine.exit(1);
    watched.engine.log = [said];
    await watched.seconds(5);
    expect(watched.acts).toEqual(["use-image sha256:aaaa"]);
    await watched.seconds(40);
    expect(await watched.state()).toMatchObject({ state: "healthy", attempts: 0, gaveUp: false });
  });

  test("is not taken for the image that worked because the one before it had been stable", async () => {
    const watched = bench();
    watched.start({ intervalMs: 1_000, stableMs: 30_000 });
    await watched.seconds(40);
    watched.engine.run();
    watched.engine.set({ id: "second", imageId: "sha256:bbbb" });
    await watched.seconds(2);
    watched.engine.exit(1);
    watched.engine.log = [said];
    await watched.seconds(2);
    expect(watched.acts).toEqual(["use-image sha256:aaaa"]);
  });

  test("gives up at once, with a ticket, where no image is known that worked", async () => {
    const watched = bench();
    watched.engine.exit(1);
    watched.engine.log = [said];
    watched.start();
    await watched.seconds(2);
    expect(watched.acts).toEqual([]);
    expect(await watched.state()).toMatchObject({ state: "glibc-mismatch", gaveUp: true });
    expect(watched.tickets).toHaveLength(1);
    expect(watched.tickets[0]?.message).toContain("GLIBC_2.38");
    await watched.seconds(600);
    expect(watched.acts).toEqual([]);
  });

  test("is not read out of a program's own lines, which may quote anybody", () => {
    expect(glibcLine([JSON.stringify({ event: "operator.says", text: said })])).toBeNull();
  });

  test("is told from the same words of a program that ended well, or that runs", async () => {
    const watched = bench();
    watched.engine.log = [said];
    watched.engine.exit(0);
    watched.start();
    await watched.seconds(2);
    expect(await watched.state()).toMatchObject({ state: "unhealthy", reason: "ended by itself, exit code 0" });
  });
});

describe("what an operator stops", () => {
  test("is left alone, also when it is then removed, until somebody starts it", async () => {
    const watched = bench();
    watched.start();
    await watched.seconds(1);
    watched.engine.tell("kill", 15);
    await watched.seconds(2);
    watched.engine.exit(143);
    watched.engine.tell("die");
    watched.engine.tell("stop");
    await watched.seconds(300);
    expect(watched.acts).toEqual([]);
    expect(await watched.events("left-alone")).toHaveLength(1);
    const removed = watched.engine.container;
    watched.engine.tell("destroy");
    watched.engine.container = null;
    await watched.seconds(300);
    expect(watched.acts).toEqual([]);
    watched.engine.container = removed;
    watched.engine.run();
    watched.engine.tell("start");
    await watched.seconds(2);
    watched.engine.exit(1);
    watched.engine.tell("die");
    await watched.seconds(12);
    expect(watched.acts).toEqual(["restart"]);
  });

  test("a signal that ends nothing is no stop, nor is a kill that it outlived for long", async () => {
    const watched = bench();
    watched.start();
    await watched.seconds(1);
    watched.engine.onAct = () => watched.engine.run();
    watched.engine.tell("kill", 1);
    watched.engine.exit(1);
    watched.engine.tell("die");
    await watched.seconds(12);
    expect(watched.acts).toEqual(["restart"]);
    watched.engine.tell("kill", 15);
    await watched.seconds(100);
    watched.engine.exit(1);
    await watched.seconds(60);
    expect(watched.acts).toEqual(["restart", "restart"]);
  });

  test("the watchdog's own stop of a container is nobody else's", async () => {
    const watched = bench();
    watched.engine.exit(1);
    watched.engine.onAct = () => {
      watched.engine.tell("kill", 15);
      watched.engine.tell("die");
      watched.engine.tell("stop");
      throw new Error("started never");
    };
    watched.start();
    await watched.seconds(30);
    expect(await watched.events("left-alone")).toEqual([]);
    expect(watched.acts).toEqual(["restart", "recreate"]);
  });

  test("nor is the stop of a watchdog that was killed in it, of which the engine tells the next one", async () => {
    const watched = bench();
    watched.engine.exit(1);
    watched.engine.restart = () => Promise.reject(new Error("cannot join its network"));
    const recreate = watched.engine.recreate.bind(watched.engine);
    watched.engine.recreate = (...[, signal]: Parameters<WatchedEngine["recreate"]>) =>
      new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason as Error)));
    watched.start();
    await watched.seconds(30);
    expect(await watched.log.memory("operator-agent", "compose-agent")).toMatchObject({ acting: { act: "recreate" } });
    await watched.stop();
    watched.engine.recreate = recreate;
    watched.start();
    await watched.seconds(0);
    watched.engine.tell("kill", 15);
    watched.engine.tell("stop");
    watched.engine.tell("destroy");
    watched.engine.container = null;
    await watched.seconds(60);
    expect(await watched.events("left-alone")).toEqual([]);
    expect(watched.acts).toContain("recreate");
  });

  test("nor is a stop that the engine ends late, when the watchdog waits for it no more", async () => {
    const watched = bench();
    watched.start({ actTimeoutMs: 5_000 });
    await watched.seconds(1);
    watched.engine.restart = (...[, signal]: Parameters<WatchedEngine["restart"]>) =>
      new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason as Error)));
    watched.engine.set({ health: "unhealthy" });
    watched.engine.tell("health");
    await watched.seconds(16);
    expect(await watched.events("attempt-failed")).toHaveLength(1);
    await watched.seconds(3);
    watched.engine.exit(137);
    watched.engine.tell("die");
    watched.engine.tell("stop");
    await watched.seconds(30);
    expect(await watched.events("left-alone")).toEqual([]);
    expect(watched.acts).toEqual(["recreate"]);
  });

  test("`lab agent down` says so before; what it says ends with the next start", async () => {
    const watched = bench();
    watched.start();
    await watched.seconds(1);
    await watched.log.intend({
      deployment: "operator-agent",
      component: null,
      wanted: "stopped",
      by: "lab agent down",
      at: watched.clock.now(),
    });
    watched.engine.container = null;
    await watched.seconds(120);
    expect(watched.acts).toEqual([]);
    expect(await watched.events("left-alone")).toEqual(["left-alone: was stopped on purpose (lab agent down)"]);
  });
});

describe("an engine that goes away", () => {
  test("is no verdict on anything, and its own shutdown is no operator's stop", async () => {
    const watched = bench();
    watched.start({ intervalMs: 5_000 });
    await watched.seconds(1);
    watched.engine.tell("kill", 15);
    watched.engine.exit(0);
    watched.engine.tell("die");
    watched.engine.tell("stop");
    watched.engine.leave();
    await watched.seconds(120);
    expect(watched.acts).toEqual([]);
    watched.engine.onAct = () => watched.engine.run();
    watched.engine.back();
    await watched.seconds(60);
    expect(watched.acts).toEqual(["restart"]);
    const own = (await watched.log.events()).filter(({ kind }) => kind === "engine").map(({ reason }) => reason);
    expect(own).toEqual([
      expect.stringContaining("the engine does not answer, nothing is concluded meanwhile"),
      "the engine answers again",
    ]);
  });
});

describe("the fallback to legacy mode", () => {
  class Legacy {
    readonly switches: string[] = [];
    readonly audited: string[] = [];
    acts: readonly AgentAct[] = [];
    /** What a change of mode does beyond being noted. */
    onSwitch: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
    auditGone: Error | null = null;
    readonly parts: LegacyParts;

    constructor(readable = true) {
      const audit = {
        intent: (entry: AuditEntry) => {
          if (this.auditGone !== null) return Promise.reject(this.auditGone);
          this.audited.push(`intent ${entry.command}`);
          return Promise.resolve({ seq: 1, entry });
        },
        outcome: (_handle: unknown, { verdict }: { verdict: string }) => {
          this.audited.push(`outcome ${verdict}`);
          return Promise.resolve();
        },
      };
      this.parts = {
        modes: {
          toLegacy: (signal) => this.#change("legacy", signal),
          toCompose: (signal) => this.#change("compose", signal),
        },
        agentActs: {
          between: (from, to) =>
            readable
              ? Promise.resolve(this.acts.filter(({ at }) => at >= from && at <= to))
              : Promise.reject(new Error("the audit cannot be read")),
        },
        audit: audit as unknown as AuditTrail,
      };
    }

    #change(to: string, signal: AbortSignal): Promise<void> {
      this.switches.push(to);
      return this.onSwitch(signal);
    }
  }
  const fast = { maxAttempts: 1, intervalMs: 1_000, stableMs: 30_000 };

  test("is off by default", async () => {
    const watched = bench();
    const legacy = new Legacy();
    watched.engine.exit(1);
    watched.start(fast, legacy.parts);
    await watched.seconds(60);
    expect(legacy.switches).toEqual([]);
    expect(await watched.events("legacy-refused")).toEqual([
      "legacy-refused: the agent stays without the engine: the host does not allow it (allow_legacy_fallback)",
    ]);
  });

  test("where the host allows it: audited, said, and back when the sidecar has been stable", async () => {
    const watched = bench();
    const legacy = new Legacy();
    watched.engine.exit(1);
    watched.start({ ...fast, allowLegacyFallback: true }, legacy.parts);
    await watched.seconds(60);
    expect(legacy.switches).toEqual(["legacy"]);
    expect(legacy.audited).toEqual(["intent legacy-fallback", "outcome ok"]);
    expect(await watched.state()).toMatchObject({ legacy: true, gaveUp: true });
    watched.engine.run();
    await watched.seconds(10);
    expect(legacy.switches).toEqual(["legacy"]);
    await watched.seconds(40);
    expect(legacy.switches).toEqual(["legacy", "compose"]);
    expect(await watched.state()).toMatchObject({ legacy: false, gaveUp: false });
    expect(await watched.events("legacy-fallback", "legacy-return")).toHaveLength(2);
  });

  test("not after a command of the agent's own, and not where nobody knows", async () => {
    const watched = bench();
    const legacy = new Legacy();
    legacy.acts = [{ at: (watched.clock.now() - 20_000) as EpochMs, command: "exec", effect: "destructive" }];
    watched.engine.exit(1);
    watched.start({ ...fast, allowLegacyFallback: true }, legacy.parts);
    await watched.seconds(60);
    expect(legacy.switches).toEqual([]);
    expect(await watched.events("legacy-refused")).toEqual([
      expect.stringContaining("the agent's own command `exec` came 20 s before the failure"),
    ]);
    const unknown = bench();
    const unreadable = new Legacy(false);
    unknown.engine.exit(1);
    unknown.start({ ...fast, allowLegacyFallback: true }, unreadable.parts);
    await unknown.seconds(60);
    expect(unreadable.switches).toEqual([]);
    expect(await unknown.events("legacy-refused")).toEqual([expect.stringContaining("the audit cannot be read")]);
  });

  test("looking does not forbid it, unless it goes on while the sidecar fails", async () => {
    for (const [afterMs, refused] of [
      [-5_000, false],
      [2_000, true],
    ] as const) {
      const watched = bench();
      const legacy = new Legacy();
      legacy.acts = [{ at: (watched.clock.now() + afterMs) as EpochMs, command: "logs", effect: "read" }];
      watched.engine.exit(1);
      watched.start({ ...fast, allowLegacyFallback: true }, legacy.parts);
      await watched.seconds(60);
      expect(await watched.events("legacy-refused")).toHaveLength(refused ? 1 : 0);
    }
  });

  test("killed in the middle of it, or refused there: the agent counts as holding the socket, and gives it back", async () => {
    const never = (signal: AbortSignal) =>
      new Promise<void>((_, fail) => signal.addEventListener("abort", () => fail(signal.reason as Error)));
    for (const onSwitch of [never, () => Promise.reject(new Error("no such image"))]) {
      const watched = bench();
      const legacy = new Legacy();
      legacy.onSwitch = onSwitch;
      watched.engine.exit(1);
      watched.start({ ...fast, allowLegacyFallback: true }, legacy.parts);
      await watched.seconds(40);
      expect(legacy.switches).toEqual(["legacy"]);
      await watched.stop();
      expect(await watched.state()).toMatchObject({ legacy: true });
      legacy.onSwitch = () => Promise.resolve();
      watched.engine.run();
      watched.start({ ...fast, allowLegacyFallback: true }, legacy.parts);
      await watched.seconds(60);
      expect(await watched.events("legacy-refused")).toEqual([
        expect.stringMatching(/(in the middle of changing|failed: no such image).*it may hold the engine's socket/),
      ]);
      expect(legacy.switches).toEqual(["legacy", "compose"]);
      expect(await watched.state()).toMatchObject({ legacy: false });
    }
  });

  test("without an audit it does not happen, nor is it noted", async () => {
    const watched = bench();
    const legacy = new Legacy();
    legacy.auditGone = new Error("the audit's disk is full");
    watched.engine.exit(1);
    watched.start({ ...fast, allowLegacyFallback: true }, legacy.parts);
    await watched.seconds(60);
    expect(legacy.switches).toEqual([]);
    expect(await watched.state()).toMatchObject({ legacy: false });
  });

  test("ends at once when the host allows it no longer", async () => {
    const watched = bench();
    const legacy = new Legacy();
    watched.engine.exit(1);
    watched.start({ ...fast, allowLegacyFallback: true }, legacy.parts);
    await watched.seconds(60);
    await watched.stop();
    watched.start(fast, legacy.parts);
    await watched.seconds(1);
    expect(legacy.switches).toEqual(["legacy", "compose"]);
    expect(await watched.events("legacy-return")).toEqual([expect.stringContaining("the host no longer allows it")]);
  });
});
