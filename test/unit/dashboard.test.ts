import { describe, expect, test } from "vitest";
import { charts, expanded, provisioned, shippedDashboard } from "../support/dashboard.ts";
import { FORBIDDEN } from "../support/leak-words.ts";

const dashboard = shippedDashboard();
const all = charts(dashboard);

describe("the dashboard", () => {
  test("is a model that Grafana 12 takes as it is, found by a name of its own", () => {
    expect(dashboard).toMatchObject({ uid: "tikv-incident", schemaVersion: 41, title: "TiKV incident" });
    expect("id" in dashboard).toBe(false);
  });

  test("has what one asks in an incident", () => {
    expect(all.map(({ title }) => title)).toEqual(
      expect.arrayContaining([
        "Targets down",
        "Targets",
        "Stores by state",
        "PD leadership",
        "PD quorum",
        "Leaders by store",
        "Regions by store",
        "Requests by type",
        "Latency",
        "Requests that failed",
        "Refusals by cause",
        "Propose wait",
        "Apply lag",
        "Raft link failures",
        "Slow score",
        "Disk used",
        "Processors",
        "Memory",
        "Restarts in 10 min",
        "Schedulers",
        "Operators",
        "Hottest stores",
        "Client operations",
        "Client latency",
        "Alerts",
      ]),
    );
  });

  test("no two panels have one id, one title or one place", () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(all.map(({ title }) => title)).size).toBe(all.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)}/${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
  });

  test("every panel says what it means, in a unit, with a threshold, and every query has a letter", () => {
    for (const { title, fieldConfig, targets } of all) {
      expect(fieldConfig.defaults.thresholds.steps[0]?.value, title).toBeNull();
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
      for (const { instant, range } of targets) expect(instant, title).toBe(!range);
    }
    expect(FORBIDDEN.exec(JSON.stringify(dashboard))?.[0] ?? null).toBeNull();
  });

  test("asks the data source that is provisioned, by its uid, through a variable", () => {
    expect(provisioned().datasources).toEqual([
      expect.objectContaining({
        type: "prometheus",
        uid: "prometheus",
        url: "http://prometheus:9090",
        isDefault: true,
      }),
    ]);
    const variable = dashboard.templating.list.find(({ name }) => name === "datasource");
    expect(variable).toMatchObject({ type: "datasource", current: { value: "prometheus" } });
    const asked = all.flatMap((panel) => [panel.datasource, ...panel.targets.map(({ datasource }) => datasource)]);
    expect(new Set(asked.map(({ type, uid }) => `${type} ${uid}`))).toEqual(new Set(["prometheus ${datasource}"]));
    expect(provisioned().providers).toEqual([
      expect.objectContaining({ type: "file", options: { path: "/etc/grafana/dashboards" } }),
    ]);
  });

  test("variables of a query are all known", () => {
    for (const { targets } of all) for (const { expr } of targets) expect(expanded(expr, 5_000)).not.toMatch(/\$[^\d]/);
    expect(expanded('rate(x{i=~"$instance"}[$__rate_interval])', 5_000)).toBe('rate(x{i=~".*"}[20s])');
    expect(() => expanded("x{i=~'$nobody'}", 5_000)).toThrow("no variable $nobody");
  });
});
