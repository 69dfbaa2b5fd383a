import { describe, expect, test } from "vitest";
import type { EpochMs } from "../../harness/base/clock.ts";
import { jsonLog } from "../../harness/base/log.ts";
import type { Labels } from "../../subjects/common/prometheus/labels.ts";
import { queryInstantNow, ruleSamples } from "../../subjects/common/prometheus/query.ts";
import { RuleGroup, type GroupDeps } from "../../subjects/common/prometheus/rules/group.ts";
import { readRuleFile } from "../../subjects/common/prometheus/rules/rule-file.ts";
import { alertsData, rulesData, rulesFilter } from "../../subjects/common/prometheus/rules/rules-json.ts";
import { Storage } from "../../subjects/common/prometheus/storage.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { queryOptions } from "../support/prometheus-series.ts";

function groupOf(file: string, rules = `      - { record: x, expr: up }`, deps: Partial<GroupDeps> = {}): RuleGroup {
  const [spec] = readRuleFile(`groups:\n  - name: g\n    limit: 3\n    rules:\n${rules}`, file);
  if (spec === undefined) throw new Error("no group");
  return new RuleGroup(spec, {
    clock: new ManualClock(),
    log: jsonLog({ level: "silent" }),
    storage: new Storage({ retentionMs: Infinity, maxBytes: Infinity }),
    intervalMs: 15_000,
    externalLabels: {},
    externalUrl: "http://127.0.0.1:9090",
    query: () => [],
    ...deps,
  });
}

/** One group over a storage that the test fills; times in seconds. */
function setUp(rules: string) {
  const storage = new Storage({ retentionMs: Infinity, maxBytes: Infinity });
  const query = (text: string, atMs: number) => ruleSamples(queryInstantNow(storage, text, atMs, queryOptions));
  const group = groupOf("made-up.rules.yml", rules, { storage, query });
  const put = (name: string, labels: Labels, at: number, value: number) =>
    storage.append({ __name__: name, ...labels }, at * 1_000, value);
  const alerts = () =>
    (alertsData([group]) as { alerts: { labels: Labels; state: string; activeAt: string }[] }).alerts.map(
      ({ labels, state, activeAt }) => `${labels["i"] ?? ""} ${state} since ${Date.parse(activeAt) / 1_000}`,
    );
  return {
    put,
    alerts,
    group,
    evaluate: (at: number) => group.evaluate((at * 1_000) as EpochMs),
    ask: (text: string, at: number) => query(text, at * 1_000).map(({ labels, value }) => [labels, value]),
  };
}

describe("alert rules", () => {
  const DOWN = `      - { alert: Down, expr: "up == 0", for: 30s, keep_firing_for: 20s }`;

  test("pending first, firing after `for`, and a while longer than its cause", () => {
    const { put, alerts, evaluate, ask } = setUp(DOWN);
    put("up", { i: "a" }, 0, 0);
    evaluate(0);
    expect(alerts()).toEqual(["a pending since 0"]);
    expect(ask("ALERTS", 0)).toEqual([[{ __name__: "ALERTS", alertname: "Down", alertstate: "pending", i: "a" }, 1]]);
    evaluate(15);
    evaluate(30);
    expect(alerts()).toEqual(["a firing since 0"]);
    expect(ask("ALERTS", 30)).toEqual([[{ __name__: "ALERTS", alertname: "Down", alertstate: "firing", i: "a" }, 1]]);
    expect(ask("ALERTS_FOR_STATE", 30)).toEqual([[{ __name__: "ALERTS_FOR_STATE", alertname: "Down", i: "a" }, 0]]);
    put("up", { i: "a" }, 40, 1);
    evaluate(45);
    evaluate(60);
    expect(alerts()).toEqual(["a firing since 0"]);
    evaluate(65);
    expect(alerts()).toEqual([]);
    expect(ask("ALERTS", 65)).toEqual([]);
  });

  test("one that is over before `for` never fires, and begins anew", () => {
    const { put, alerts, evaluate } = setUp(DOWN);
    put("up", { i: "a" }, 0, 0);
    evaluate(0);
    put("up", { i: "a" }, 10, 1);
    evaluate(15);
    expect(alerts()).toEqual([]);
    put("up", { i: "a" }, 20, 0);
    evaluate(30);
    expect(alerts()).toEqual(["a pending since 30"]);
  });

  test("more than the limit are none, and the rule says why", () => {
    const { put, alerts, evaluate, group } = setUp(DOWN);
    for (const i of "abcd") put("up", { i }, 0, 0);
    evaluate(0);
    expect(alerts()).toEqual([]);
    expect(group.rules[0]?.health).toMatchObject({ health: "err", lastError: "exceeded limit of 3 with 4 alerts" });
  });

  test("labels that make two alerts one are an error", () => {
    const { put, evaluate, group } = setUp(`      - { alert: Down, expr: "up == 0", labels: { i: same } }`);
    for (const i of "ab") put("up", { i }, 0, 0);
    evaluate(0);
    expect(group.rules[0]?.health.lastError).toContain("same labelset after applying alert labels");
  });

  test("a template that fails says so in its place, and the alert is there", () => {
    const { put, evaluate, group } = setUp(
      `      - { alert: Down, expr: "up == 0", annotations: { s: '{{ first (query "nosuch") }}', t: '{{ $labels.i }}' } }`,
    );
    put("up", { i: "a" }, 0, 0);
    evaluate(0);
    const { alerts } = alertsData([group]) as { alerts: { annotations: Labels }[] };
    expect(alerts[0]?.annotations["s"]).toContain("<error expanding template");
    expect(alerts[0]?.annotations["t"]).toBe("a");
  });
});

describe("recording rules", () => {
  test("later rules see what earlier ones recorded, and what is gone is marked so", () => {
    const { put, evaluate, ask } = setUp(
      `      - { record: "a:x", expr: "x * 2", labels: { kind: r } }\n      - { record: "b:x", expr: 'sum({__name__="a:x"})' }`,
    );
    put("x", { i: "1" }, 0, 5);
    evaluate(0);
    expect(ask('{__name__=~".:x"}', 0)).toEqual([
      [{ __name__: "a:x", i: "1", kind: "r" }, 10],
      [{ __name__: "b:x" }, 10],
    ]);
    evaluate(301);
    expect(ask('{__name__=~".:x"}', 301)).toEqual([]);
  });
});

describe("groups", () => {
  test("are evaluated at every interval, at an offset of their own, and not made up for", async () => {
    const clock = new ManualClock();
    const times: number[] = [];
    const query = (_: string, atMs: number) => (times.push(atMs), []);
    const group = groupOf("f.yml", undefined, { clock, query });
    const stop = new AbortController();
    const running = group.run(stop.signal);
    await clock.advance(46_000);
    stop.abort();
    await running;
    expect(times).toHaveLength(3);
    expect(new Set(times.map((atMs) => atMs % 15_000)).size).toBe(1);
  });

  test("pages of groups end with a token that begins the next", () => {
    const groups = ["a", "b"].map((file) => groupOf(file));
    const page = (query: string) =>
      rulesData(
        groups,
        rulesFilter(new URLSearchParams(query), () => []),
        (expr) => expr,
      ) as {
        groups: { file: string }[];
        groupNextToken?: string;
      };
    const first = page("group_limit=1");
    expect(first.groups.map(({ file }) => file)).toEqual(["a"]);
    const second = page(`group_limit=1&group_next_token=${first.groupNextToken ?? ""}`);
    expect(second.groups.map(({ file }) => file)).toEqual(["b"]);
    expect(second).not.toHaveProperty("groupNextToken");
    expect(() => page("group_limit=1&group_next_token=nosuch")).toThrow("were rule groups changed?");
    expect(() => page("group_next_token=x")).toThrow("group_limit needs to be present");
  });
});
