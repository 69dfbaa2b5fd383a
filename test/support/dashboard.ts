import { parse } from "yaml";
import { z } from "zod";
import type { Clock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import type { PrometheusClient, QueryResult } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { textOf } from "./repository.ts";

const GRAFANA = "subjects/tikv/docker/grafana";

const datasource = z.looseObject({ type: z.string(), uid: z.string() });
const target = z.looseObject({
  datasource,
  expr: z.string().min(1),
  refId: z.string(),
  instant: z.boolean(),
  range: z.boolean(),
});
const box = z.strictObject({
  h: z.number().int().positive(),
  w: z.number().int().positive(),
  x: z.number().int().min(0),
  y: z.number().int().min(0),
});
const row = z.looseObject({ id: z.number().int(), type: z.literal("row"), title: z.string().min(1), gridPos: box });
const chart = z.looseObject({
  id: z.number().int(),
  type: z.enum(["stat", "timeseries", "state-timeline", "table"]),
  title: z.string().min(1),
  description: z.string().min(20),
  datasource,
  gridPos: box,
  fieldConfig: z.looseObject({
    defaults: z.looseObject({
      unit: z.string().min(1),
      thresholds: z.strictObject({
        mode: z.literal("absolute"),
        steps: z.array(z.strictObject({ color: z.string(), value: z.number().nullable() })).min(1),
      }),
    }),
  }),
  targets: z.array(target).min(1),
});
const annotation = z.looseObject({ name: z.string(), builtIn: z.literal(1).optional(), expr: z.string().optional() });
const model = z.looseObject({
  uid: z.string().min(1),
  title: z.string().min(1),
  schemaVersion: z.number().int(),
  panels: z.array(z.union([row, chart])),
  annotations: z.strictObject({ list: z.array(annotation) }),
  templating: z.strictObject({
    list: z.array(
      z.looseObject({ name: z.string(), type: z.string(), current: z.looseObject({ value: z.unknown() }) }),
    ),
  }),
});

export type Dashboard = z.output<typeof model>;
export type Chart = z.output<typeof chart>;

/** The dashboard that is shipped; throws where it is not of the form that Grafana 12 loads. */
export function shippedDashboard(): Dashboard {
  return model.parse(JSON.parse(textOf(`${GRAFANA}/dashboards/tikv.json`)));
}

export function charts({ panels }: Dashboard): readonly Chart[] {
  return panels.filter((panel): panel is Chart => panel.type !== "row");
}

/** What Grafana is told at its start. */
export function provisioned(): { readonly datasources: readonly unknown[]; readonly providers: readonly unknown[] } {
  const read = (file: string) => parse(textOf(`${GRAFANA}/provisioning/${file}`)) as Record<string, readonly unknown[]>;
  return {
    datasources: read("datasources/prometheus.yaml")["datasources"] ?? [],
    providers: read("dashboards/tikv.yaml")["providers"] ?? [],
  };
}

/** A query as Grafana sends it with everything selected. `$__rate_interval` is at least four scrapes. */
export function expanded(expr: string, scrapeIntervalMs: number): string {
  const known: Readonly<Record<string, string>> = {
    __rate_interval: `${(4 * scrapeIntervalMs) / 1_000}s`,
    instance: ".*",
  };
  return expr.replace(/\$(\w+)/g, (whole, name: string) => {
    // Of label_replace, not of Grafana.
    if (/^\d+$/.test(name)) return whole;
    const value = known[name];
    if (value === undefined) throw new Error(`no variable ${whole}: ${expr}`);
    return value;
  });
}

/** What one query of a panel found, as one value and over the last minutes. */
export interface Found {
  readonly panel: string;
  readonly query: string;
  readonly instant: readonly Series[];
  readonly range: readonly Series[];
}
interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const RANGE_S = 60;
const POINTS = 12;

/** Asks every query of every panel as Grafana would, and as one that looks at a minute. @throws what a query throws */
export async function askAll(
  dashboard: Dashboard,
  prometheus: PrometheusClient,
  options: { readonly scrapeIntervalMs: number; readonly atMs: number },
  signal: AbortSignal,
): Promise<readonly Found[]> {
  const end = options.atMs / 1_000;
  const found: Found[] = [];
  for (const { title, targets } of charts(dashboard))
    for (const { expr, refId } of targets) {
      const query = expanded(expr, options.scrapeIntervalMs);
      const range = { start: end - RANGE_S, end, step: RANGE_S / POINTS };
      found.push({
        panel: targets.length > 1 ? `${title} ${refId}` : title,
        query,
        instant: seriesOf(await prometheus.instant(query, signal, { time: end })),
        range: seriesOf(await prometheus.range(query, range, signal)),
      });
    }
  return found;
}

/**
 * Asks until each of the panels has had data, now and over a minute; not all at one instant, since a scrape may be late.
 *
 * @throws Error naming those that never had
 */
export async function untilSeen(
  ask: () => Promise<readonly Found[]>,
  wanted: (panel: string) => boolean,
  patience: { readonly clock: Clock; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const seen = new Set<string>();
  let left: readonly string[] = [];
  const look = async () => {
    const all = await ask();
    for (const { panel, instant, range } of all) if (instant.length > 0 && range.length > 0) seen.add(panel);
    left = all.map(({ panel }) => panel).filter((panel) => wanted(panel) && !seen.has(panel));
    return left.length === 0;
  };
  await waitFor(look, { ...patience, everyMs: 500, what: "data" }).catch((cause: unknown) => {
    throw new Error(`never with data: ${left.join(", ")}`, { cause });
  });
}

/** One line a query: how many series, and one of them with its value. */
export function summary(all: readonly Found[]): string {
  return all
    .map(({ panel, instant: [first, ...more], range }) => {
      if (first === undefined) return `${panel}: nothing now, ${range.length} series in the last minute`;
      const labels = Object.entries(first.labels).map(([name, value]) => `${name}=${value}`);
      return `${panel}: ${more.length + 1} series, e.g. {${labels.join(", ")}} ${Number(first.value.toPrecision(4))}`;
    })
    .join("\n");
}

/** Those that have a number. */
export function seriesOf(result: QueryResult): readonly Series[] {
  if (result.type === "scalar") return [{ labels: {}, value: result.point[1] }];
  if (result.type === "string") return [];
  // A quantile of nothing is a series without a number: a panel shows nothing for it.
  return result.series
    .map((series) => ({
      labels: series.labels,
      value:
        "point" in series ? series.point[1] : (series.points.findLast(([, value]) => !Number.isNaN(value))?.[1] ?? NaN),
    }))
    .filter(({ value }) => !Number.isNaN(value));
}
