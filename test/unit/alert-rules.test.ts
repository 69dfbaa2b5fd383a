import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readRuleFile } from "../../subjects/common/prometheus/rules/rule-file.ts";
import { alertRules } from "../../subjects/tikv/alert-rules.ts";
import { FORBIDDEN } from "../support/leak-words.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
const rulesOf = (text: string) => (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);

describe("the alert rules", () => {
  test("have a severity, a summary and a description, and say nothing that an operator may not read", () => {
    const text = alertRules(1);
    expect(FORBIDDEN.exec(text)?.[0] ?? null).toBeNull();
    for (const { alert, labels, annotations } of rulesOf(text)) {
      expect(["critical", "warning"], alert).toContain(labels["severity"]);
      expect(Object.keys(annotations), alert).toEqual(["summary", "description"]);
    }
  });

  test("are what the embedded Prometheus understands, too", () => {
    const read = readRuleFile(alertRules(1), "tikv.rules.yml");
    expect(read.flatMap(({ rules }) => rules)).toHaveLength(rulesOf(alertRules(1)).length);
  });

  test("cover what nobody ships: a target that is down, PD without a majority", () => {
    const names = rulesOf(alertRules(1)).map(({ alert }) => alert);
    expect(names).toEqual(expect.arrayContaining(["Target_down", "PD_quorum_lost"]));
    expect(new Set(names).size).toBe(names.length);
  });

  test("scale how long something has to last and how far they look back, and no threshold", () => {
    const shipped = `groups:
  - name: a
    interval: 15s
    rules:
      - alert: b # why
        expr: rate(x_5m{l="5m"}[1m] offset 5m) > 10 and max_over_time(y[2h:30s]) > 5
        for: 1m
        annotations: { description: "for 1m" }
`;
    expect(alertRules(1, shipped)).toBe(shipped);
    const [group] = (parse(alertRules(0.2, shipped)) as { groups: { interval: string; rules: Rule[] }[] }).groups;
    expect(group?.interval).toBe("3000ms");
    expect(group?.rules[0]).toEqual({
      alert: "b",
      expr: 'rate(x_5m{l="5m"}[12000ms] offset 60000ms) > 10 and max_over_time(y[1440000ms:6000ms]) > 5',
      for: "12000ms",
      annotations: { description: "for 1m" },
    });
  });
});
