import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Tickets } from "../../../tickets/index.ts";
import { PLANES, type Plane } from "../planes.ts";
import type { TokenCache } from "../tokens/types.ts";

/** What is asked for at each scrape, not counted as it happens. */
export interface MetricSources {
  readonly tokens: TokenCache;
  readonly tickets: Tickets | null;
  readonly deploymentHash: string;
  queue(): { readonly server: number; readonly poller: number };
  slots(): { readonly slots: number; readonly busy: number };
}

const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Prometheus metrics of one server, in a registry of their own. Labels come from closed lists, never from callers. */
export class ControlMetrics {
  readonly #registry = new Registry();
  #reading: Promise<string> | null = null;
  readonly #commands = this.#counter("control_commands_total", "commands by plane, command and outcome", [
    "plane",
    "command",
    "outcome",
  ]);
  readonly #latency = new Histogram({
    name: "control_command_duration_seconds",
    help: "from the request to the end of the act",
    labelNames: ["plane", "command"],
    buckets: LATENCY_SECONDS,
    registers: [this.#registry],
  });
  readonly #requests = new Histogram({
    name: "control_request_duration_seconds",
    help: "HTTP requests by route and status; long polls and streams are not among them",
    labelNames: ["route", "status"],
    buckets: LATENCY_SECONDS,
    registers: [this.#registry],
  });
  readonly #authFailures = this.#counter(
    "control_auth_failures_total",
    "requests refused before their scope was looked at",
    ["reason"],
  );

  command(plane: Plane, command: string, outcome: string, seconds: number): void {
    this.#commands.inc({ plane, command, outcome });
    this.#latency.observe({ plane, command }, seconds);
  }

  refused(plane: Plane, command: string): void {
    this.#commands.inc({ plane, command, outcome: "refused" });
  }

  request(route: string, status: number, seconds: number): void {
    this.#requests.observe({ route, status: String(status) }, seconds);
  }

  authFailure(reason: string): void {
    this.#authFailures.inc({ reason });
  }

  watch(sources: MetricSources): void {
    const { tokens } = sources;
    this.#gauge("control_token_age_seconds", "age of the token in force", ["plane"], (gauge) => {
      for (const plane of PLANES) gauge.set({ plane }, tokens.state(plane).ageSeconds ?? Number.NaN);
    });
    this.#gauge("control_token_refresh_ok", "1 = the last reading of the provider worked", ["plane"], (gauge) => {
      for (const plane of PLANES) gauge.set({ plane }, tokens.state(plane).lastRefreshOk === true ? 1 : 0);
    });
    this.#sampled("control_token_rotations_total", "changes of the token in force", ["plane"], (counter) => {
      for (const plane of PLANES) counter.inc({ plane }, tokens.state(plane).rotations);
    });
    this.#gauge("control_queue_depth", "commands that wait", ["executor"], (gauge) => {
      for (const [executor, depth] of Object.entries(sources.queue())) gauge.set({ executor }, depth);
    });
    this.#gauge("control_worker_slots", "slots for commands", ["state"], (gauge) => {
      const { slots, busy } = sources.slots();
      gauge.set({ state: "busy" }, busy);
      gauge.set({ state: "free" }, slots - busy);
    });
    if (sources.tickets !== null) this.#watchdog(sources.tickets, sources.deploymentHash);
  }

  /** One reading for all who ask meanwhile: two that overlap would count what is sampled twice. */
  text(): Promise<string> {
    this.#reading ??= this.#registry.metrics().finally(() => (this.#reading = null));
    return this.#reading;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #watchdog(tickets: Tickets, deployment: string): void {
    const labels = ["component"];
    // A ticket file that is away is said by /health; the other metrics are wanted then more than ever.
    const targets = () => tickets.watchdog.targets(deployment).catch(() => []);
    const totals = () => tickets.watchdog.totals().catch(() => []);
    this.#gauge(
      "control_watchdog_state",
      "1 = the state that the watchdog sees",
      ["component", "state"],
      async (gauge) => {
        for (const { component, state } of await targets()) gauge.set({ component, state }, 1);
      },
    );
    this.#gauge("control_watchdog_attempts", "attempts used in this episode", labels, async (gauge) => {
      for (const { component, attempts } of await targets()) gauge.set({ component }, attempts);
    });
    this.#sampled(
      "control_watchdog_events_total",
      "decisions of the watchdog",
      ["component", "kind"],
      async (counter) => {
        for (const { component, kind, count, deployment: of } of await totals())
          if (of === deployment) counter.inc({ component, kind }, count);
      },
    );
    this.#sampled("control_watchdog_give_ups_total", "how often the watchdog gave up", labels, async (counter) => {
      for (const { component, kind, count, deployment: of } of await totals())
        if (of === deployment && kind === "gave-up") counter.inc({ component }, count);
    });
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, labelNames: string[], fill: (gauge: Gauge) => void | Promise<void>): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      async collect() {
        this.reset();
        await fill(this);
      },
    });
  }

  /** A count that somebody else keeps. */
  #sampled(name: string, help: string, labelNames: string[], fill: (counter: Counter) => void | Promise<void>): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      async collect() {
        this.reset();
        await fill(this);
      },
    });
  }
}
