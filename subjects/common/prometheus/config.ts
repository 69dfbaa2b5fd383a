import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { ConfigError } from "../../../harness/base/errors.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { without, type Labels } from "./labels.ts";

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== null) return ms;
  context.addIssue({ code: "custom", message: `not a valid duration string: ${JSON.stringify(text)}` });
  return z.NEVER;
});
const labels = z.record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/), z.coerce.string());

const scrapeConfig = z.strictObject({
  job_name: z.string().min(1),
  scrape_interval: duration.optional(),
  scrape_timeout: duration.optional(),
  metrics_path: z.string().startsWith("/").default("/metrics"),
  scheme: z.enum(["http", "https"]).default("http"),
  params: z.record(z.string(), z.array(z.string())).default({}),
  honor_labels: z.boolean().default(false),
  honor_timestamps: z.boolean().default(true),
  static_configs: z.array(z.strictObject({ targets: z.array(z.string()), labels: labels.default({}) })).default([]),
});

const configFile = z.strictObject({
  global: z
    .strictObject({
      scrape_interval: duration.optional(),
      scrape_timeout: duration.optional(),
      evaluation_interval: duration.optional(),
      external_labels: labels.default({}),
    })
    .prefault({}),
  rule_files: z.array(z.string()).default([]),
  scrape_configs: z.array(scrapeConfig).default([]),
});

export interface Target {
  readonly pool: string;
  readonly url: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  /** On every sample of the target. */
  readonly labels: Labels;
  readonly discoveredLabels: Labels;
}

export interface Config {
  readonly targets: readonly Target[];
  /** Patterns, relative to the configuration file. */
  readonly ruleFiles: readonly string[];
  readonly evaluationIntervalMs: number;
  /** On what leaves this Prometheus; templates of alerts see them. */
  readonly externalLabels: Labels;
}

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Reads a Prometheus configuration file: `global`, `rule_files`, and `scrape_configs` with `static_configs`.
 *
 * @throws ConfigError naming the line of broken YAML, or every key that is wrong or not understood.
 */
export function readConfig(text: string, file: string): Config {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  const broken = document.errors[0];
  if (broken !== undefined) throw new ConfigError(`${file}: ${broken.message}`);
  const parsed = configFile.safeParse(document.toJS() ?? {});
  if (!parsed.success) throw new ConfigError(`parsing YAML file ${file}: ${z.prettifyError(parsed.error)}`);
  const { global, rule_files, scrape_configs } = parsed.data;
  const names = scrape_configs.map((config) => config.job_name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ConfigError(`${file}: found multiple scrape configs with job name "${twice}"`);
  const targets = scrape_configs.flatMap((config) => {
    const intervalMs = config.scrape_interval ?? global.scrape_interval ?? DEFAULT_INTERVAL_MS;
    const timeoutMs = config.scrape_timeout ?? global.scrape_timeout ?? Math.min(DEFAULT_TIMEOUT_MS, intervalMs);
    if (timeoutMs > intervalMs)
      throw new ConfigError(`${file}: scrape timeout greater than scrape interval for "${config.job_name}"`);
    if (intervalMs === 0) throw new ConfigError(`${file}: scrape interval of "${config.job_name}" is zero`);
    return config.static_configs.flatMap((group) =>
      group.targets.map((address) => targetOf(config, address, group.labels, { intervalMs, timeoutMs })),
    );
  });
  const evaluationIntervalMs = global.evaluation_interval ?? DEFAULT_INTERVAL_MS;
  if (evaluationIntervalMs === 0) throw new ConfigError(`${file}: evaluation interval is zero`);
  return { targets, ruleFiles: rule_files, evaluationIntervalMs, externalLabels: global.external_labels };
}

function targetOf(
  config: z.output<typeof scrapeConfig>,
  address: string,
  own: Labels,
  times: { readonly intervalMs: number; readonly timeoutMs: number },
): Target {
  const discoveredLabels = {
    __address__: address,
    __metrics_path__: config.metrics_path,
    __scheme__: config.scheme,
    __scrape_interval__: formatDuration(times.intervalMs),
    __scrape_timeout__: formatDuration(times.timeoutMs),
    job: config.job_name,
    ...own,
  };
  const hidden = Object.keys(discoveredLabels).filter((name) => name.startsWith("__"));
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(config.params)) for (const value of values) query.append(name, value);
  return {
    pool: config.job_name,
    url: `${config.scheme}://${address}${config.metrics_path}${query.size === 0 ? "" : `?${query}`}`,
    ...times,
    honorLabels: config.honor_labels,
    honorTimestamps: config.honor_timestamps,
    labels: { instance: address, ...without(discoveredLabels, hidden) },
    discoveredLabels,
  };
}
