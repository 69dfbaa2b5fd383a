import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { ConfigError } from "../../../../harness/base/errors.ts";
import { parseDuration } from "../duration.ts";
import { NAME, type Labels } from "../labels.ts";
import { parseQuery } from "../promql/parse.ts";
import { compileTemplate } from "../template/execute.ts";
import { templateFunctions } from "../template/functions.ts";

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== null) return ms;
  context.addIssue({ code: "custom", message: `not a valid duration string: ${JSON.stringify(text)}` });
  return z.NEVER;
});
const texts = z.record(z.string(), z.coerce.string()).default({});

const ruleShape = z.strictObject({
  record: z.coerce.string().optional(),
  alert: z.coerce.string().optional(),
  expr: z.coerce.string().optional(),
  for: duration.default(0),
  keep_firing_for: duration.default(0),
  labels: texts,
  annotations: texts,
});
const fileShape = z.strictObject({
  groups: z
    .array(
      z.strictObject({
        name: z.coerce.string().default(""),
        interval: duration.optional(),
        query_offset: duration.optional(),
        limit: z.number().int().default(0),
        labels: texts,
        rules: z
          .array(ruleShape)
          .nullable()
          .transform((rules) => rules ?? [])
          .default([]),
      }),
    )
    .nullable()
    .default([]),
});

export interface RecordingSpec {
  readonly kind: "recording";
  readonly name: string;
  readonly expr: string;
  readonly labels: Labels;
}
export interface AlertingSpec {
  readonly kind: "alerting";
  readonly name: string;
  readonly expr: string;
  readonly forMs: number;
  readonly keepFiringForMs: number;
  readonly labels: Labels;
  readonly annotations: Labels;
}
export type RuleSpec = RecordingSpec | AlertingSpec;

export interface GroupSpec {
  readonly file: string;
  readonly name: string;
  /** Null = the file `prometheus.yml` says. */
  readonly intervalMs: number | null;
  readonly offsetMs: number;
  /** How many series or alerts a rule may make; 0 = any number. */
  readonly limit: number;
  readonly rules: readonly RuleSpec[];
}

/**
 * Reads a rule file as Prometheus does (model/rulefmt): one broken expression or template refuses the whole file.
 *
 * @throws ConfigError with every fault, by group and rule
 */
export function readRuleFile(text: string, file: string): readonly GroupSpec[] {
  const document = parseDocument(text, { lineCounter: new LineCounter() });
  const broken = document.errors[0];
  if (broken !== undefined) throw new ConfigError(`${file}: ${broken.message}`);
  const parsed = fileShape.safeParse(document.toJS() ?? {});
  if (!parsed.success) throw new ConfigError(`${file}: ${z.prettifyError(parsed.error)}`);
  const groups = parsed.data.groups ?? [];
  const faults: string[] = [];
  const names = new Set<string>();
  for (const group of groups) {
    if (group.name === "") faults.push("Groupname must not be empty");
    if (names.has(group.name)) faults.push(`groupname: "${group.name}" is repeated in the same file`);
    names.add(group.name);
    faults.push(...labelFaults(group.labels));
    group.rules.forEach((rule, index) => {
      const shown = `group ${JSON.stringify(group.name)}, rule ${index + 1}, ${JSON.stringify(rule.alert ?? rule.record ?? "")}`;
      faults.push(...ruleFaults(rule).map((fault) => `${shown}: ${fault}`));
    });
  }
  if (faults.length > 0) throw new ConfigError(faults.map((fault) => `${file}: ${fault}`).join("\n"));
  return groups.map((group) => ({
    file,
    name: group.name,
    intervalMs: group.interval ?? null,
    offsetMs: group.query_offset ?? 0,
    limit: group.limit,
    rules: group.rules.map((rule) => specOf(rule, group.labels)),
  }));
}

type Rule = z.output<typeof ruleShape>;

function specOf(rule: Rule, groupLabels: Labels): RuleSpec {
  const common = { expr: rule.expr ?? "", labels: { ...groupLabels, ...rule.labels } };
  if (rule.alert === undefined) return { kind: "recording", name: rule.record ?? "", ...common };
  return {
    kind: "alerting",
    name: rule.alert,
    ...common,
    forMs: rule.for,
    keepFiringForMs: rule.keep_firing_for,
    annotations: rule.annotations,
  };
}

function ruleFaults(rule: Rule): string[] {
  const [alert, record] = [rule.alert ?? "", rule.record ?? ""];
  const faults: string[] = [];
  if (alert !== "" && record !== "") faults.push("only one of 'record' and 'alert' must be set");
  if (alert === "" && record === "") faults.push("one of 'record' or 'alert' must be set");
  if ((rule.expr ?? "") === "") faults.push("field 'expr' must be set in rule");
  else faults.push(...failure(() => parseQuery(rule.expr ?? ""), "could not parse expression"));
  if (record !== "") {
    if (Object.keys(rule.annotations).length > 0) faults.push("invalid field 'annotations' in recording rule");
    if (rule.for !== 0) faults.push("invalid field 'for' in recording rule");
    if (rule.keep_firing_for !== 0) faults.push("invalid field 'keep_firing_for' in recording rule");
    if (/[{}]/.test(record)) faults.push(`braces present in the recording rule name; should it be in expr?: ${record}`);
  }
  faults.push(...labelFaults(rule.labels));
  if (alert === "") return faults;
  const check = (kind: string, [name, text]: readonly [string, string]) =>
    failure(() => compileTemplate(text, FUNCTIONS), `${kind} ${JSON.stringify(name)}: template: __alert_${alert}:1`);
  for (const entry of Object.entries(rule.labels)) faults.push(...check("label", entry));
  for (const entry of Object.entries(rule.annotations)) faults.push(...check("annotation", entry));
  return faults;
}

const FUNCTIONS = templateFunctions({ query: () => [], externalUrl: "" });

function labelFaults(labels: Labels): string[] {
  return Object.keys(labels).flatMap((name) => (name === NAME || name === "" ? [`invalid label name: ${name}`] : []));
}

function failure(run: () => unknown, what: string): string[] {
  try {
    run();
    return [];
  } catch (error) {
    if (error instanceof Error) return [`${what}: ${error.message}`];
    throw error;
  }
}
