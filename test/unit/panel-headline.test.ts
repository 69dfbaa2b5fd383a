import { expect, test } from "vitest";
import type { EpochMs } from "../../harness/base/clock.ts";
import type { CommandReport } from "../../harness/control/contract.ts";
import { HarnessError } from "../../harness/base/errors.ts";
import type { KnownPart } from "../../harness/panel/parts.ts";
import { settleLater } from "../../harness/panel/settle-later.ts";
import type { Seen, Sight } from "../../harness/panel/sight.ts";
import { approvalsSection } from "../../harness/panel/web/approvals.ts";
import { headline } from "../../harness/panel/web/headline.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { approval, ticket } from "../support/panel-scene.ts";

const at = 1_000 as EpochMs;
const read = <T>(value: unknown): Seen<T> => ({ value: value as T, at, why: null });
const lost = <T>(value: unknown): Seen<T> => ({
  value: value as T,
  at: value === null ? null : at,
  why: "connect ECONNREFUSED",
});
const HEALTH = { status: "ok" };

function sight(changes: Partial<Sight> = {}): Sight {
  return {
    now: at,
    legacy: null,
    health: read(HEALTH),
    capabilities: read(null),
    failures: read(null),
    perMinute: { status_panel: 0, compose_agent: 0 },
    tickets: read([]),
    monitored: true,
    approvals: read([]),
    watchdog: read({ targets: [], events: [] }),
    sessions: read([]),
    session: null,
    entries: [],
    parts: [],
    cluster: null,
    done: [],
    ...changes,
  };
}

const legacy = { agentId: "agent-1", why: "connect ECONNREFUSED" };
const gone = { agentId: "agent-1", part: "agent", gone: true } as KnownPart;

test.each<readonly [words: RegExp, Partial<Sight>]>([
  [/ok.*All quiet: no open incident/, {}],
  [/All quiet.*Legacy mode: the agent holds the engine itself/, { legacy }],
  [/warn.*no monitor is at work: nobody would notice one/, { monitored: false }],
  [/ok.*All quiet/, { monitored: null }],
  [/bad.*Tickets cannot be read/, { tickets: lost([]) }],
  [/bad.*1 incident open: said to be fixed, not verified yet/, { tickets: read([ticket({ status: "diagnosed" })]) }],
  [/bad.*1 incident open: an operator is at work/, { tickets: read([ticket()]), monitored: false }],
  [
    /warn.*1 proposal waits for a person: 1 incident open/,
    { tickets: read([ticket()]), approvals: read([approval(at)]) },
  ],
  [
    /warn.*this does not work: engine/,
    { health: read({ ...HEALTH, engine: { ok: false, why: "engine-unreachable" } }) },
  ],
  [/bad.*has not answered yet: nothing is known of incidents/, { health: lost(null), tickets: lost(null) }],
  [/bad.*does not answer: what is shown is old, and commands are refused/, { health: lost(HEALTH) }],
  [/bad.*The agent does not answer, and there is no compose-agent/, { health: lost(HEALTH), legacy }],
  [/bad.*The agent does not answer, and there is no compose-agent/, { legacy, parts: [gone] }],
])("the first line says %s", (words, changes) => {
  expect(String(headline(sight(changes))).replaceAll(/\s+/g, " ")).toMatch(words);
});

test("what was never read is not said to be empty", () => {
  expect(String(approvalsSection(sight({ approvals: lost(null) }), "token"))).toContain("have not been read yet");
  expect(String(approvalsSection(sight(), "token"))).toContain("Nothing waits for a person");
});

test("what an operator says turns no letters of a proposal around", () => {
  const input = { component: "tikv1", reason: "a \u202ewall" };
  const page = String(approvalsSection(sight({ approvals: read([{ ...approval(at), input }]) }), "token"));
  expect(page).toContain("a \ufffdwall");
  expect(page).not.toContain("\u202e");
});

test("a command whose answer was lost is asked for until somebody says what came of it, or that it never arrived", async () => {
  const never = new AbortController().signal;
  const done: CommandReport = {
    command_id: "c1",
    status: "success",
    result: null,
    error: null,
    error_code: null,
    completed_at: null,
    executed_by: "status_panel",
  };
  const ask = async (answers: readonly (CommandReport | Error)[]) => {
    const clock = new ManualClock();
    const left = [...answers];
    const get = (target: string) => {
      expect(target).toBe("/api/v1/commands/c1");
      const next = left.length > 1 ? left.shift() : left[0];
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    };
    const settled = settleLater("c1", { get }, { clock }, never);
    for (let round = 0; round < answers.length; round++) await clock.advance(2_000);
    return { settled, clock };
  };
  const down = new HarnessError("engine-unreachable", "it does not answer");
  const unknown = new HarnessError("not-found", "no such command");
  const known = await ask([down, { ...done, status: "running" }, done]);
  expect(await known.settled).toEqual(done);
  const lostOne = await ask([down, unknown, unknown]);
  expect(await lostOne.settled).toMatchObject({ status: "failed", error: "it never arrived, and was not executed" });
  const silent = await ask([down]);
  await silent.clock.advance(11 * 60_000);
  expect([await silent.settled, silent.clock.waiting]).toEqual([null, 0]);
});
