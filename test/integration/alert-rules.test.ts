import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { alertRules } from "../../subjects/tikv/alert-rules.ts";
import { describePrometheus, promtool } from "../support/real-prometheus.ts";

const RULES = resolve(import.meta.dirname, "../../subjects/tikv/docker/tikv.rules.yml");
const UNIT_TESTS = resolve(import.meta.dirname, "../promtool/tikv.rules.test.yml");

interface RuleFile {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string }[] }[];
}
interface TestFile {
  readonly tests: readonly {
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
  }[];
}

const alerts = (parse(readFileSync(RULES, "utf8")) as RuleFile).groups.flatMap(({ rules }) =>
  rules.map(({ alert }) => alert),
);

describePrometheus("the alert rules, to Prometheus' own tools", () => {
  test("are rules", () => {
    const { status, said } = promtool("check", "rules", RULES);
    expect(said).toContain(`${alerts.length} rules found`);
    expect(status).toBe(0);
  });

  test.each([0.05, 0.2, 3])("are rules for a cluster that runs by the factor %d", (factor) => {
    const folder = mkdtempSync(join(tmpdir(), "rules-"));
    try {
      const file = join(folder, "scaled.yml");
      writeFileSync(file, alertRules(factor));
      expect(promtool("check", "rules", file).said).toContain(`SUCCESS: ${alerts.length} rules found`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("fire on the series of their trouble, in their words, when it has lasted; none on a healthy cluster", () => {
    const { status, said } = promtool("test", "rules", UNIT_TESTS);
    expect(said).toContain("SUCCESS");
    expect(status).toBe(0);
  });

  test("each has a unit test in which it fires and one in which it does not", () => {
    const cases = (parse(readFileSync(UNIT_TESTS, "utf8")) as TestFile).tests.flatMap((one) => one.alert_rule_test);
    const tried = (fires: boolean) =>
      cases.filter(({ exp_alerts }) => exp_alerts.length > 0 === fires).map(({ alertname }) => alertname);
    expect([...new Set(tried(true))].toSorted()).toEqual(alerts.toSorted());
    expect([...new Set(tried(false))].toSorted()).toEqual(alerts.toSorted());
  });
});
