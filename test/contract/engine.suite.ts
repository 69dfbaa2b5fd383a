import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import type { Component, ContainerState, EngineEvent, OwnerEngine } from "../../harness/protocol.ts";

/**
 * What the containers of the suite do. Every implementation starts exactly these four, in a fresh instance:
 *
 * - `steady`: prints `ready` on stdout and `careful` on stderr at each start, stays up, exits 0 on SIGTERM;
 *   restart policy `unless-stopped`.
 * - `other`: as `steady`; nothing that is done to `steady` may show here.
 * - `stubborn`: prints `ready`, ignores SIGTERM; restart policy `no`; stop grace 1 s.
 * - `flaky`: *created, not started*; exits 3 about 100 ms after each start; restart policy `on-failure`, at most 2.
 */
export const SUITE_COMPONENTS = ["steady", "other", "stubborn", "flaky"] as const;

export interface EngineUnderTest extends AsyncDisposable {
  readonly engine: OwnerEngine;
  /** An argv that the engine accepts in `steady` and that prints `text` (one word) on stdout and exits 0. */
  echo(text: string): readonly string[];
  /** An argv that it accepts and that exits with `code`, printing nothing. */
  exitWith(code: number): readonly string[];
  /** An argv that it accepts and that runs until it is ended. */
  hang(): readonly string[];
}

export interface EngineSuite {
  readonly name: string;
  setUp(signal: AbortSignal): Promise<EngineUnderTest>;
  /** Methods that this engine refuses with `not-supported`; the suite checks that it does. */
  readonly refuses: readonly ("update-cpus" | "update-memory" | "recreate-image" | "crash" | "cut")[];
}

const named = (name: (typeof SUITE_COMPONENTS)[number]): Component => name as unknown as Component;
const steady = named("steady");
const other = named("other");
const stubborn = named("stubborn");
const flaky = named("flaky");
const nobody = "nobody" as Component;

/** What every engine promises. Each test leaves all four components as it found them. */
export function engineContract(suite: EngineSuite): void {
  describe(`engine contract: ${suite.name}`, () => {
    let under: EngineUnderTest;
    let engine: OwnerEngine;
    let listening: AbortController;
    const refuses = (what: EngineSuite["refuses"][number]) => suite.refuses.includes(what);

    beforeAll(async () => {
      under = await suite.setUp(AbortSignal.timeout(60_000));
      engine = under.engine;
    });
    afterAll(() => under?.[Symbol.asyncDispose]());
    afterEach(async () => {
      listening?.abort();
      const signal = AbortSignal.timeout(30_000);
      for (const component of [steady, other]) {
        if ((await engine.inspect(component, signal)).status === "paused") await engine.unpause(component, signal);
        await engine.start(component, signal);
        await engine.connect(component, {}, signal);
      }
    });

    const state = (component: Component) => engine.inspect(component, AbortSignal.timeout(10_000));
    const until = (component: Component, holds: (state: ContainerState) => boolean, signal: AbortSignal) =>
      waitFor(
        async () => {
          const now = await state(component);
          return holds(now) ? now : null;
        },
        { clock: systemClock, timeoutMs: 20_000, everyMs: 50, what: `${component} to change`, signal },
      );
    const isExited = ({ status }: ContainerState) => status === "exited";

    /** Actions seen on a component from now on; `upTo` resolves with them once the given one has come. */
    function watch(component: Component) {
      listening = new AbortController();
      const stream = engine.events(listening.signal);
      return async (action: EngineEvent["action"]): Promise<EngineEvent[]> => {
        const seen: EngineEvent[] = [];
        for await (const event of stream) {
          if (event.component === component) seen.push(event);
          if (event.component === component && event.action === action) return seen;
        }
        throw new Error(`the events ended before "${action}"`);
      };
    }

    test("lists exactly the instance's components", async ({ signal }) => {
      const states = await engine.list(signal);
      expect(states.map((each) => each.component).sort()).toEqual([...SUITE_COMPONENTS].sort());
      expect(states.find((each) => each.component === steady)).toMatchObject({
        status: "running",
        exitCode: null,
        restartCount: 0,
        oomKilled: false,
        networks: [engine.network],
        restartPolicy: { name: "unless-stopped" },
      });
      expect(states.find((each) => each.component === flaky)).toMatchObject({
        status: "created",
        startedAt: null,
        restartPolicy: { name: "on-failure", max: 2 },
      });
    });

    test("refuses what is not there, by name", async ({ signal }) => {
      await expect(engine.inspect(nobody, signal)).rejects.toMatchObject({ code: "not-found" });
      await expect(engine.start(nobody, signal)).rejects.toMatchObject({ code: "not-found" });
      await expect(engine.logs(nobody, {}, signal)).rejects.toMatchObject({ code: "not-found" });
    });

    test("kill: SIGKILL, exit code 137, no policy brings it back, the others do not notice", async ({ signal }) => {
      const [before, neighbour] = [await state(steady), await state(other)];
      const upTo = watch(steady);
      await engine.kill(steady, {}, signal);
      const events = await upTo("die");
      expect(events.map(({ action }) => action)).toEqual(["kill", "die"]);
      expect(events.at(-1)?.exitCode).toBe(137);
      const after = await until(steady, isExited, signal);
      expect(after).toMatchObject({ exitCode: 137, restartCount: 0, startedAt: before.startedAt });
      expect(after.finishedAt).toBeGreaterThanOrEqual(before.startedAt ?? Infinity);
      await engine.kill(steady, {}, signal);
      expect(await state(other)).toEqual(neighbour);
    });

    test("start: a new start time; a running one is left alone", async ({ signal }) => {
      const before = await state(steady);
      await engine.start(steady, signal);
      expect((await state(steady)).startedAt).toBe(before.startedAt);
      await engine.kill(steady, {}, signal);
      await until(steady, isExited, signal);
      const upTo = watch(steady);
      await engine.start(steady, signal);
      expect((await upTo("start")).map(({ action }) => action)).toEqual(["start"]);
      const after = await state(steady);
      expect(after).toMatchObject({ status: "running", exitCode: null });
      expect(after.startedAt).not.toBe(before.startedAt);
    });

    test("stop: SIGTERM first, and again does nothing", async ({ signal }) => {
      await untilLogged(engine, steady, "ready", signal);
      const upTo = watch(steady);
      await engine.stop(steady, {}, signal);
      expect((await upTo("stop")).map(({ action }) => action)).toEqual(["kill", "die", "stop"]);
      expect(await state(steady)).toMatchObject({ status: "exited", exitCode: 0 });
      await engine.stop(steady, {}, signal);
    });

    test("stop: SIGKILL when the grace is over", async ({ signal }) => {
      await untilLogged(engine, stubborn, "ready", signal);
      await engine.stop(stubborn, { graceMs: 1_000 }, signal);
      expect(await state(stubborn)).toMatchObject({ status: "exited", exitCode: 137 });
      await engine.start(stubborn, signal);
    });

    test("restart: stopped and started", async ({ signal }) => {
      const before = await state(steady);
      await engine.restart(steady, { graceMs: 5_000 }, signal);
      const after = await state(steady);
      expect(after.status).toBe("running");
      expect(after.startedAt).not.toBe(before.startedAt);
    });

    test("pause and unpause keep the process; both twice", async ({ signal }) => {
      const before = await state(steady);
      const upTo = watch(steady);
      await engine.pause(steady, signal);
      await engine.pause(steady, signal);
      expect(await state(steady)).toMatchObject({ status: "paused", startedAt: before.startedAt });
      await expect(engine.exec(steady, under.echo("x"), { timeoutMs: 5_000 }, signal)).rejects.toMatchObject({
        code: "wrong-state",
      });
      await engine.unpause(steady, signal);
      await engine.unpause(steady, signal);
      expect((await upTo("unpause")).map(({ action }) => action)).toEqual(["pause", "unpause"]);
      expect(await state(steady)).toEqual(before);
    });

    test("a paused one can be killed", async ({ signal }) => {
      await engine.pause(steady, signal);
      await engine.kill(steady, {}, signal);
      expect(await until(steady, isExited, signal)).toMatchObject({ exitCode: 137 });
    });

    test("a stopped one cannot be paused or run a program; its stats are zero", async ({ signal }) => {
      await engine.kill(steady, {}, signal);
      await until(steady, isExited, signal);
      await expect(engine.pause(steady, signal)).rejects.toMatchObject({ code: "wrong-state" });
      await expect(engine.exec(steady, under.echo("x"), { timeoutMs: 5_000 }, signal)).rejects.toMatchObject({
        code: "wrong-state",
      });
      expect(await engine.stats(steady, signal)).toMatchObject({ cpuCores: 0, memoryBytes: 0 });
    });

    test("on-failure: brought back twice, then given up; a start by hand counts anew", async ({ signal }) => {
      await engine.start(flaky, signal);
      const spent = await until(flaky, (now) => isExited(now) && now.restartCount === 2, signal);
      expect(spent.exitCode).toBe(3);
      await engine.start(flaky, signal);
      await until(flaky, (now) => isExited(now) && now.restartCount === 2, signal);
    });

    test("a crash of its own is what the policy is for", async ({ signal }) => {
      if (refuses("crash")) return;
      const before = await state(steady);
      await engine.crash(steady, signal);
      const after = await until(
        steady,
        (now) => now.status === "running" && now.startedAt !== before.startedAt,
        signal,
      );
      expect(after.restartCount).toBe(before.restartCount + 1);
      await engine.restart(steady, {}, signal);
    });

    test("update: the restart policy; what it cannot, it refuses by name", async ({ signal }) => {
      await engine.update(steady, { restartPolicy: "on-failure:5" }, signal);
      expect((await state(steady)).restartPolicy).toEqual({ name: "on-failure", max: 5 });
      await engine.update(steady, { restartPolicy: "unless-stopped" }, signal);
      if (refuses("update-cpus"))
        await expect(engine.update(steady, { cpus: 1 }, signal)).rejects.toMatchObject({ code: "not-supported" });
      if (refuses("update-memory"))
        await expect(engine.update(steady, { memoryBytes: 1e8 }, signal)).rejects.toMatchObject({
          code: "not-supported",
        });
    });

    test("disconnect and connect show in networks; both twice", async ({ signal }) => {
      const upTo = watch(steady);
      await engine.disconnect(steady, signal);
      await engine.disconnect(steady, signal);
      expect(await state(steady)).toMatchObject({ networks: [], status: "running" });
      expect((await state(other)).networks).toEqual([engine.network]);
      await engine.connect(steady, {}, signal);
      await engine.connect(steady, {}, signal);
      expect((await state(steady)).networks).toEqual([engine.network]);
      expect((await upTo("connect")).map(({ action }) => action)).toEqual(["disconnect", "connect"]);
    });

    test("logs: both streams, stamped, over restarts, tail and since", async ({ signal }) => {
      await engine.restart(other, {}, signal);
      const all = await waitFor(
        async () => {
          const lines = await engine.logs(other, {}, signal);
          return lines.filter(({ text }) => text === "ready").length >= 2 && lines.at(-1)?.text !== "" ? lines : null;
        },
        { clock: systemClock, timeoutMs: 10_000, everyMs: 50, what: "the second start's output", signal },
      );
      expect(all).toContainEqual({ stream: "stdout", at: expect.any(Number) as number, text: "ready" });
      await untilLogged(engine, other, "careful", signal);
      const settled = await engine.logs(other, {}, signal);
      expect(await engine.logs(other, { tail: 1 }, signal)).toEqual(settled.slice(-1));
      const last = settled.at(-1)?.at ?? 0;
      const recent = await engine.logs(other, { since: last as never }, signal);
      expect(recent.length).toBeGreaterThan(0);
      expect(recent.every(({ at }) => (at ?? 0) >= last)).toBe(true);
    });

    test("exec: output, exit code, bound, deadline", async ({ signal }) => {
      const said = await engine.exec(steady, under.echo("hello"), { timeoutMs: 10_000 }, signal);
      expect(said).toEqual({ exitCode: 0, stdout: "hello\n", stderr: "", truncated: false });
      expect(await engine.exec(steady, under.exitWith(4), { timeoutMs: 10_000 }, signal)).toMatchObject({
        exitCode: 4,
      });
      const cut = await engine.exec(steady, under.echo("hello"), { timeoutMs: 10_000, maxBytes: 3 }, signal);
      expect(cut).toMatchObject({ stdout: "hel", truncated: true });
      await expect(engine.exec(steady, under.hang(), { timeoutMs: 300 }, signal)).rejects.toMatchObject({
        code: "timeout",
      });
    });

    test("stats of a running one", async ({ signal }) => {
      const stats = await engine.stats(other, signal);
      expect(stats.memoryBytes).toBeGreaterThan(0);
      expect(stats.cpuCores).toBeGreaterThanOrEqual(0);
    });

    test("recreate: a new container under the old name, with an empty log", async ({ signal }) => {
      const before = await state(steady);
      await engine.recreate(steady, {}, signal);
      const after = await until(steady, ({ status }) => status === "running", signal);
      expect(after).toMatchObject({ restartCount: 0, networks: [engine.network], name: before.name });
      expect(after.startedAt).not.toBe(before.startedAt);
      await untilLogged(engine, steady, "ready", signal);
      expect((await engine.logs(steady, {}, signal)).filter(({ text }) => text === "ready")).toHaveLength(1);
      if (refuses("recreate-image"))
        await expect(engine.recreate(steady, { image: "other:1" }, signal)).rejects.toMatchObject({
          code: "not-supported",
        });
    });

    test("cut and mend: not in networks, undone twice", async ({ signal }) => {
      if (refuses("cut") || engine.cut === undefined || engine.mend === undefined) return;
      await engine.cut(steady, { peers: [other] }, signal);
      expect((await state(steady)).networks).toEqual([engine.network]);
      await engine.mend(steady, signal);
      await engine.mend(steady, signal);
    });

    test("an aborted call rejects with the reason; events end without throwing", async () => {
      const gone = new AbortController();
      const reason = new Error("enough");
      gone.abort(reason);
      await expect(engine.list(gone.signal)).rejects.toBe(reason);
      const listeningNow = new AbortController();
      const seen = collect(engine.events(listeningNow.signal));
      listeningNow.abort(reason);
      expect(await seen).toEqual([]);
    });
  });
}

/** Said since its last end: an engine may note the start after the process has said its first words. */
async function untilLogged(engine: OwnerEngine, component: Component, text: string, signal: AbortSignal) {
  await waitFor(
    async () => {
      const { finishedAt } = await engine.inspect(component, signal);
      const lines = await engine.logs(component, finishedAt === null ? {} : { since: finishedAt }, signal);
      return lines.some((line) => line.text === text);
    },
    { clock: systemClock, timeoutMs: 10_000, everyMs: 50, what: `"${text}" in the log of ${component}`, signal },
  );
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
