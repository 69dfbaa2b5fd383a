import type { EpochMs } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import { changed, labelKey, NAME, without, type Labels } from "../labels.ts";
import type { InstantSample } from "../promql/value.ts";
import { compileTemplate } from "../template/execute.ts";
import { templateFunctions } from "../template/functions.ts";
import type { AlertingSpec } from "./rule-file.ts";
import type { RuleDeps } from "./rule.ts";

export type AlertState = "inactive" | "pending" | "firing";

export interface Alert {
  readonly labels: Labels;
  annotations: Labels;
  state: AlertState;
  value: number;
  readonly activeAt: EpochMs;
  resolvedAt: EpochMs | null;
  keepFiringSince: EpochMs | null;
}

const RANK: Readonly<Record<AlertState, number>> = { inactive: 0, pending: 1, firing: 2 };
/** How long a resolved alert is remembered (rules/alerting.go). */
const RESOLVED_RETENTION_MS = 15 * 60_000;

/** An alert for every series that an expression returns, once it has done so for long enough (rules/alerting.go). */
export class AlertingRule {
  readonly spec: AlertingSpec;
  readonly #deps: RuleDeps;
  #alerts = new Map<string, Alert>();

  constructor(spec: AlertingSpec, deps: RuleDeps) {
    this.spec = spec;
    this.#deps = deps;
  }

  get state(): AlertState {
    const states = [...this.#alerts.values()].map((alert) => alert.state);
    return states.reduce((most, state) => (RANK[state] > RANK[most] ? state : most), "inactive");
  }

  /** Pending and firing ones. */
  get active(): readonly Alert[] {
    return [...this.#alerts.values()].filter((alert) => alert.resolvedAt === null);
  }

  /**
   * @returns `ALERTS` and `ALERTS_FOR_STATE` of the active ones. @throws QueryError, or Error when labels collide or
   * the limit is passed
   */
  evaluate(atMs: EpochMs, limit: number): readonly InstantSample[] {
    const found = new Map<string, Alert>();
    for (const sample of this.#deps.query(this.spec.expr, atMs)) {
      const alert = this.#alertOf(sample, atMs);
      const key = labelKey(alert.labels);
      if (found.has(key)) throw new Error("vector contains metrics with the same labelset after applying alert labels");
      found.set(key, alert);
    }
    for (const [key, alert] of found) {
      const known = this.#alerts.get(key);
      if (known === undefined || known.state === "inactive") this.#alerts.set(key, alert);
      else Object.assign(known, { value: alert.value, annotations: alert.annotations });
    }
    const active = [...this.#alerts].filter(([key, alert]) => this.#advance(key, alert, found.has(key), atMs));
    if (limit > 0 && active.length > limit) {
      this.#alerts = new Map();
      throw new Error(`exceeded limit of ${limit} with ${active.length} alerts`);
    }
    return active.flatMap(([, alert]) => this.#samplesOf(alert));
  }

  /** @returns whether the alert is pending or firing now */
  #advance(key: string, alert: Alert, present: boolean, atMs: EpochMs): boolean {
    if (present) alert.keepFiringSince = null;
    else if (!this.#keepsFiring(alert, atMs)) {
      const forgotten = alert.resolvedAt !== null && atMs - alert.resolvedAt > RESOLVED_RETENTION_MS;
      if (alert.state === "pending" || forgotten) this.#alerts.delete(key);
      if (alert.state !== "inactive") Object.assign(alert, { state: "inactive", resolvedAt: atMs });
      return false;
    }
    if (alert.state === "pending" && atMs - alert.activeAt >= this.spec.forMs) alert.state = "firing";
    return true;
  }

  #keepsFiring(alert: Alert, atMs: EpochMs): boolean {
    if (alert.state !== "firing" || this.spec.keepFiringForMs === 0) return false;
    alert.keepFiringSince ??= atMs;
    return atMs - alert.keepFiringSince < this.spec.keepFiringForMs;
  }

  #samplesOf(alert: Alert): InstantSample[] {
    const labels = { ...this.spec.labels, ...alert.labels, alertname: this.spec.name };
    return [
      { labels: changed(labels, { [NAME]: "ALERTS", alertstate: alert.state }), value: 1 },
      { labels: changed(labels, { [NAME]: "ALERTS_FOR_STATE" }), value: Math.trunc(alert.activeAt / 1_000) },
    ];
  }

  #alertOf({ labels, value }: InstantSample, atMs: EpochMs): Alert {
    const { externalLabels, externalUrl, query } = this.#deps;
    const functions = templateFunctions({ externalUrl, query: (text) => query(text, atMs) });
    const data = {
      Labels: { ...labels },
      ExternalLabels: { ...externalLabels },
      ExternalURL: externalUrl,
      Value: value,
    };
    const variables = {
      $: data,
      $labels: data.Labels,
      $externalLabels: data.ExternalLabels,
      $externalURL: externalUrl,
      $value: value,
    };
    const expand = (text: string): string => {
      try {
        return compileTemplate(text, functions).expand(variables, data);
      } catch (error) {
        return `<error expanding template: error executing template __alert_${this.spec.name}: ${errorText(error)}>`;
      }
    };
    const expanded = (texts: Labels) =>
      Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, expand(text)]));
    return {
      labels: changed(without(labels, [NAME]), { ...expanded(this.spec.labels), alertname: this.spec.name }),
      annotations: changed({}, expanded(this.spec.annotations)),
      state: "pending",
      value,
      activeAt: atMs,
      resolvedAt: null,
      keepFiringSince: null,
    };
  }
}
