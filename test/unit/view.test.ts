import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import type { Component, EpochMs, TrialEvent, TrialHappening } from "../../harness/protocol.ts";
import { canDraw } from "../../harness/view/live-view.ts";
import { plainLine } from "../../harness/view/plain-lines.ts";
import { Screen } from "../../harness/view/screen.ts";
import { withoutRepeats } from "../../harness/view/without-repeats.ts";
import { sparkline } from "../../harness/view/sparkline.ts";

const event = (happening: TrialHappening, sinceMs: number | null = 1_600): TrialEvent => ({
  ...happening,
  at: 0 as EpochMs,
  sinceMs,
});
const tikv1 = "tikv1" as Component;

describe("plain lines", () => {
  it("stamp what happened with the time since the harm", () => {
    expect(plainLine(event({ type: "broke", target: tikv1, label: "SIGKILL" }, 0))).toBe(
      "   0.0 s  broke tikv1 (SIGKILL)",
    );
    expect(plainLine(event({ type: "phase", phase: "deploy", text: "starting the cluster" }, null))).toBe(
      "          starting the cluster",
    );
  });

  it("show one bounded line of what a tool returned", () => {
    const line = plainLine(event({ type: "step", kind: "result", text: `\n${"x".repeat(500)}\nsecond`, effect: null }));
    expect(line).not.toContain("second");
    expect(line?.length).toBeLessThan(130);
  });

  it("leave moving pictures to the live view", () => {
    expect(plainLine(event({ type: "clients", okRatio: 1, p99Ms: 3, perSecond: 40 }))).toBeNull();
  });
});

describe("the live view", () => {
  const head = { title: "agent lab", scenario: "tikv/store-kill", seed: 7, notice: "scripted operator" };
  const screen = new Screen(head);
  for (const happening of [
    {
      type: "cluster",
      nodes: [
        { component: "pd0" as Component, status: "running", leaders: null },
        { component: tikv1, status: "exited", leaders: null },
        { component: "tikv2" as Component, status: "running", leaders: 6 },
      ],
    },
    { type: "clients", okRatio: 0.5, p99Ms: 120, perSecond: 38 },
    { type: "broke", target: tikv1, label: "SIGKILL" },
    { type: "ticket", id: 1, severity: "critical", message: "tikv1 does not answer" },
    { type: "step", kind: "call", text: "container_inspect tikv1", effect: "read" },
    { type: "step", kind: "call", text: "container_start tikv1 - it was stopped", effect: "write" },
    { type: "step", kind: "result", text: "exited, exit code 137", effect: "read" },
  ] satisfies TrialHappening[])
    screen.take(event(happening));
  const drawn = (columns: number, rows: number) => stripVTControlCharacters(screen.draw(columns, rows));

  it("shows cluster, clients, ticket and the operator's steps", () => {
    const text = drawn(100, 30);
    expect(text).toContain("○ tikv1 exited");
    expect(text).toContain("● tikv2 6 leaders");
    expect(text).toContain("ok 50.0 %, 38/s");
    expect(text).toContain("#1 critical: tikv1 does not answer");
    expect(text).toContain("-> exited, exit code 137");
    expect(text).toContain("tikv1: SIGKILL");
    expect(text).toMatch(/^acted +1\.6 s: container_start tikv1 - it was stopped$/m);
  });

  it.each([
    [60, 18],
    [100, 30],
    [200, 60],
  ])("fits into %i columns and %i rows", (columns, rows) => {
    const lines = drawn(columns, rows).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(lines.length).toBeLessThanOrEqual(rows);
  });

  it("is drawn only where there is a terminal that is large enough; elsewhere the plain lines are", () => {
    const stream = (isTTY: boolean, columns: number, rows: number) => ({ isTTY, columns, rows }) as NodeJS.WriteStream;
    expect(canDraw(stream(true, 60, 18))).toBe(true);
    expect([stream(true, 59, 40), stream(true, 200, 17), stream(false, 200, 60)].map(canDraw)).not.toContain(true);
  });

  it("says that a resolved ticket is resolved", () => {
    screen.take(event({ type: "ticket-resolved", id: 1 }));
    expect(drawn(100, 30)).toContain("tikv1 does not answer - resolved");
  });
});

it("what is done again with the same outcome is shown once, another outcome is shown", () => {
  const shown: string[] = [];
  const show = withoutRepeats((one) => void shown.push(one.type === "step" ? one.text : one.type));
  const step = (kind: "call" | "result", text: string) => show(event({ type: "step", kind, text, effect: "read" }));
  for (const outcome of ["none", "none", "none", "1"]) {
    step("call", "query");
    step("result", outcome);
  }
  step("call", "submit");
  step("result", "done");
  expect(shown).toEqual(["query", "none", "query", "1", "submit", "done"]);
});

it("a sparkline shows the newest values and where there are none", () => {
  expect(sparkline([0, 0.5, 1, null], 3, 0, 1)).toBe("▅█·");
  expect(sparkline([3, 3], 5, 3, 3)).toBe("▁▁");
});
