import { describe, expect, test } from "vitest";
import { human } from "../../harness/agent/operators/human/index.ts";
import { parseLine, usageOf } from "../../harness/agent/operators/human/parse-line.ts";
import type { Terminal } from "../../harness/agent/operators/human/terminal.ts";
import { scriptedTools } from "../support/scripted-tools.ts";
import { WorkBench } from "../support/work-bench.ts";

const tools = scriptedTools();

/** A person who types these lines and then leaves. */
function person(lines: readonly string[]): { readonly terminal: Terminal; readonly screen: () => string } {
  const left = [...lines];
  let screen = "";
  const terminal: Terminal = {
    say: (text) => void (screen += `${text}\n`),
    ask: (question) => {
      const line = left.shift() ?? null;
      screen += `${question}${line ?? ""}\n`;
      return Promise.resolve(line);
    },
    [Symbol.dispose]: () => {},
  };
  return { terminal, screen: () => screen };
}

const FORM = [
  "submit",
  "process-stopped",
  "tikv1",
  "The store had ended and nobody started it.",
  "container_list said exited; it answers now",
  "started tikv1",
  "resolved",
];

describe("what a person types", () => {
  const parsed = (line: string) => {
    const found = parseLine(line, tools);
    return found.ok ? [found.tool.name, found.input, found.reason] : found.why;
  };

  test.each([
    ["list", ["container_list", {}, null]],
    ["restart tikv1 -- it does not answer", ["container_restart", { component: "tikv1" }, "it does not answer"]],
    ["restart tikv1 grace_seconds=5", ["container_restart", { component: "tikv1", grace_seconds: 5 }, null]],
    ["container_logs tikv1 tail=20", ["container_logs", { component: "tikv1", tail: 20 }, null]],
    [
      "exec tikv1 df -h '/da ta' -- full?",
      ["container_exec", { component: "tikv1", argv: ["df", "-h", "/da ta"] }, "full?"],
    ],
    ['query up{job="tikv"} == 0', ["prometheus_query", { query: "up{job=tikv} == 0" }, null]],
    ["query 'up{job=\"tikv\"} == 0'", ["prometheus_query", { query: 'up{job="tikv"} == 0' }, null]],
    [
      'stop {"component":"tikv1","reason":"because it must"}',
      ["container_stop", { component: "tikv1" }, "because it must"],
    ],
    ["update tikv1 cpus=2", ["container_update", { component: "tikv1", cpus: 2 }, null]],
    ["dance tikv1", "there is no tool dance; help lists them"],
    ["start tikv1 now=yes tikv2 grace=3", ["container_start", { component: "tikv1 now=yes tikv2 grace=3" }, null]],
    ["stop {nonsense", expect.stringMatching(/^not JSON: /)],
  ])("%s", (line, call) => expect(parsed(line)).toEqual(call));

  test("every tool says how it is typed", () => {
    for (const tool of tools) expect(usageOf(tool)).toMatch(/^[a-z_]+ .*-- <reason>$/);
    expect(usageOf(tools.find(({ name }) => name === "container_stop")!)).toBe(
      "container_stop <component> [grace_seconds=…] -- <reason>",
    );
  });
});

describe("a person at work", () => {
  test("sees the incident, looks, acts with a reason, submits; every call is in the transcript", async () => {
    const bench = new WorkBench();
    const { terminal, screen } = person(["list", "note it has ended", "start tikv1", "nobody started it", ...FORM]);
    const { result, calls, writes, entries } = await bench.work(human(() => terminal));
    expect(result).toMatchObject({
      ending: "resolved",
      usage: { turns: 3 },
      diagnosis: { components: ["tikv1"], evidence: ["container_list said exited", "it answers now"] },
    });
    expect(calls).toEqual(["container_list", "container_start", "submit_diagnosis"]);
    expect(writes).toEqual(["container_start tikv1"]);
    expect(entries.find(({ type }) => type === "reasoning")?.raw).toBe("it has ended");
    expect(entries.find(({ tool }) => tool === "container_start")?.params).toMatchObject({
      reason: "nobody started it",
    });
    expect(screen()).toContain("#1 critical: tikv1 does not answer");
  });

  test("a wrong answer in the form is asked again, an empty one leads back; leaving gives the incident back", async () => {
    const { terminal, screen } = person([
      "submit",
      "magic",
      "?",
      "",
      "help",
      "help restart",
      "brief",
      "start tikv1",
      "",
    ]);
    const { result, calls } = await new WorkBench().work(human(() => terminal));
    expect(result).toMatchObject({ ending: "failed", reason: "the person left the terminal" });
    expect(calls).toEqual([]);
    expect(screen()).toContain("not a class of the published list");
    expect(screen()).toContain("container_restart <component> [grace_seconds=…] -- <reason>");
  });

  test("has as many calls as every operator", async () => {
    const { terminal } = person(["list", "list", "list"]);
    const limits = { turns: 2, workingMs: 60_000, usd: 1, outputTokensPerTurn: 1 };
    const { result, calls } = await new WorkBench().work(
      human(() => terminal),
      { limits },
    );
    expect(result).toMatchObject({ ending: "limit", reason: "turn limit reached: 2 of 2 calls" });
    expect(calls).toHaveLength(2);
  });

  test("text of the cluster cannot write on the screen", async () => {
    const bench = new WorkBench();
    const { terminal, screen } = person(["list"]);
    const incident = bench.options(human(() => terminal)).incident;
    const [ticket] = incident.tickets;
    await bench.work(
      human(() => terminal),
      {
        incident: { ...incident, tickets: [{ ...ticket!, message: "gone\u001b[2J" }] },
      },
    );
    expect(screen()).toContain("gone\ufffd[2J");
    expect(screen()).not.toContain("\u001b");
  });
});
