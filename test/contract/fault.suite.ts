import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { healFault, healPending, injectFault } from "../../harness/faults/injection.ts";
import { InjectionJournal } from "../../harness/faults/journal.ts";
import { faultKinds, makeFault } from "../../harness/faults/registry.ts";
import type { Component, Deps, FaultSpec, OwnerEngine } from "../../harness/protocol.ts";

/** Components as in `engine.suite.ts`; only `steady` is harmed. */
export interface FaultSuite {
  readonly name: string;
  setUp(signal: AbortSignal): Promise<{ readonly engine: OwnerEngine } & AsyncDisposable>;
}

const steady = "steady" as Component;
const other = "other" as Component;
const specs: readonly FaultSpec[] = [
  { kind: "kill", target: steady, params: {} },
  { kind: "hang", target: steady, params: {} },
  { kind: "isolate", target: steady, params: {} },
  { kind: "crash-loop", target: steady, params: { untilDownMs: 700, maxCrashes: 8 } },
];
const deps: Deps = {
  clock: systemClock,
  ids: randomIds,
  log: silentLog,
  random: seededRandom(1),
  fetch: globalThis.fetch,
};

/** What every fault promises on every engine: it takes, it is undone, undoing it twice or later does no harm. */
export function faultContract(suite: FaultSuite): void {
  describe(`faults: ${suite.name}`, () => {
    let under: Awaited<ReturnType<FaultSuite["setUp"]>>;
    let folder: string;
    let journal: InjectionJournal;
    const signal = () => AbortSignal.timeout(50_000);

    beforeAll(async () => {
      under = await suite.setUp(AbortSignal.timeout(60_000));
    });
    afterAll(() => under?.[Symbol.asyncDispose]());
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "faults-"));
      journal = new InjectionJournal(join(folder, "injections.jsonl"), deps);
    });
    afterEach(() => rm(folder, { recursive: true }));

    const running = () =>
      waitFor(async () => (await under.engine.inspect(steady, signal())).status === "running", {
        clock: systemClock,
        timeoutMs: 40_000,
        everyMs: 50,
        what: "steady to run",
      });

    test("the table above covers every kind there is", () => {
      expect(specs.map(({ kind }) => kind).toSorted()).toEqual([...faultKinds].toSorted());
    });

    describe.each(specs)("$kind", (spec) => {
      test("takes effect, touches nobody else, is undone, and twice undone is the same", async () => {
        await running();
        const before = await under.engine.inspect(other, signal());
        const fault = makeFault(spec, under.engine, deps);
        expect(await fault.preflight(signal())).toBeNull();
        const entry = await journal.intend(spec);
        await injectFault(fault, entry, journal, deps, signal());
        expect(await fault.verify("in-effect", signal())).toBe(true);
        await healFault(fault, entry, journal, signal());
        await waitFor(() => fault.verify("gone", signal()), {
          clock: systemClock,
          timeoutMs: 40_000,
          everyMs: 50,
          what: `${spec.kind} to be gone`,
        });
        const healed = await under.engine.inspect(steady, signal());
        await healFault(fault, entry, journal, signal());
        expect(await under.engine.inspect(steady, signal())).toEqual(healed);
        expect(await under.engine.inspect(other, signal())).toEqual(before);
      });

      test("is undone from the journal alone, as after the harness was killed", async () => {
        await running();
        const entry = await journal.intend(spec);
        await makeFault(spec, under.engine, deps).inject(signal());
        const later = new InjectionJournal(join(folder, "injections.jsonl"), deps);
        expect(await healPending(later, under.engine, deps, signal())).toEqual([entry]);
        await running();
        expect((await under.engine.inspect(steady, signal())).networks).toEqual([under.engine.network]);
        expect(await later.pending()).toEqual([]);
      });
    });

    test("a kill that somebody undid at once has taken all the same", async () => {
      await running();
      const fault = makeFault({ kind: "kill", target: steady, params: {} }, under.engine, deps);
      await fault.inject(signal());
      await waitFor(async () => (await under.engine.inspect(steady, signal())).status === "exited", {
        clock: systemClock,
        timeoutMs: 40_000,
        everyMs: 50,
        what: "steady to be gone",
      });
      await under.engine.start(steady, signal());
      await running();
      expect(await fault.verify("in-effect", signal())).toBe(true);
      expect(await fault.verify("gone", signal())).toBe(true);
    });

    test("a crash loop ends when somebody starts the component by hand", async () => {
      await running();
      const looping = { kind: "crash-loop", target: steady, params: { untilDownMs: 30_000, maxCrashes: 50 } };
      const fault = makeFault(looping, under.engine, deps);
      const made = fault.inject(signal());
      await waitFor(async () => (await under.engine.inspect(steady, signal())).restartCount >= 4, {
        clock: systemClock,
        timeoutMs: 40_000,
        everyMs: 50,
        what: "the loop to be under way",
      });
      await under.engine.restart(steady, {}, signal());
      await made;
      expect(await fault.verify("in-effect", signal())).toBe(true);
      await running();
    });

    test("a fault that cannot be made says why and changes nothing", async () => {
      await running();
      await under.engine.stop(steady, {}, signal());
      try {
        for (const spec of specs)
          expect(await makeFault(spec, under.engine, deps).preflight(signal())).toBe("steady is exited, not running");
      } finally {
        await under.engine.start(steady, signal());
      }
    });
  });
}
