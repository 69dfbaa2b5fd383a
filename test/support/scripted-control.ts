import { HarnessError } from "../../harness/base/errors.ts";
import type { CommandReport } from "../../harness/control/contract.ts";
import type { ControlPort } from "../../harness/panel/control-port.ts";

/** A control API that says what the test tells it, and remembers what it was asked. For the panel's own logic. */
export class ScriptedControl implements ControlPort {
  /** By target without its query; what is missing is answered with an error. */
  readonly answers = new Map<string, unknown>();
  readonly posted: { readonly target: string; readonly body: Readonly<Record<string, unknown>> }[] = [];
  readonly executed: { readonly name: string; readonly params: object }[] = [];
  /** Why nothing is answered at all; null = all is well. */
  down: string | null = null;
  features: readonly string[] = [
    "docker",
    "start",
    "stop",
    "restart",
    "pause",
    "unpause",
    "ticket_hold",
    "ticket_unhold",
  ];
  outcome: Partial<CommandReport> = { status: "success" };
  counts = { status_panel: 0, compose_agent: 0 };
  failed = { status_panel: 0, compose_agent: 0 };
  tokenAgeSeconds = { status_panel: 3_700, compose_agent: 240 };

  constructor() {
    for (const list of ["tickets", "sessions", "approvals"]) this.answers.set(`/api/v1/${list}`, { [list]: [] });
    this.answers.set("/api/v1/watchdog", { targets: [], events: [] });
  }

  async health(): Promise<unknown> {
    this.#awake();
    const { status_panel: panel, compose_agent: agent } = this.counts;
    const tokens = Object.entries(this.tokenAgeSeconds).map(([plane, age]) => {
      return [plane, { token_age_seconds: age, last_refresh_ok: true }];
    });
    return {
      status: "ok",
      token_age_seconds: this.tokenAgeSeconds.status_panel,
      last_refresh_ok: true,
      command_metrics: {
        status_panel_count: panel,
        compose_agent_count: agent,
        total_count: panel + agent,
        last_control_plane: "compose_agent",
        last_command_timestamp_ms: 0,
      },
      planes: Object.fromEntries(tokens),
    };
  }

  async capabilities(): Promise<unknown> {
    this.#awake();
    return { compose_agent: true, control_plane: "compose_agent", version: "1.2.3", features: this.features };
  }

  async metrics(): Promise<string> {
    this.#awake();
    return Object.entries(this.failed)
      .map(([plane, count]) => `control_commands_total{plane="${plane}",command="restart",outcome="failed"} ${count}\n`)
      .join("");
  }

  async get(target: string): Promise<unknown> {
    this.#awake();
    const [path = "", query = ""] = target.split("?");
    const answer = this.answers.get(path);
    if (answer === undefined) throw new HarnessError("not-found", `nothing at ${path}`);
    if (typeof answer !== "function") return answer;
    return (answer as (query: URLSearchParams) => unknown)(new URLSearchParams(query));
  }

  async post(target: string, body: object): Promise<unknown> {
    this.#awake();
    this.posted.push({ target, body: body as Readonly<Record<string, unknown>> });
    return {};
  }

  async execute(name: string, params: object): Promise<CommandReport> {
    this.#awake();
    this.executed.push({ name, params });
    this.counts.status_panel++;
    return {
      command_id: "c1",
      status: "success",
      result: { operation: name, container: null, duration_secs: 1.25, exit_code: 0, stdout: "", data: null },
      error: null,
      error_code: null,
      completed_at: "2026-01-01T00:00:00.000Z",
      executed_by: "status_panel",
      ...this.outcome,
    };
  }

  #awake(): void {
    if (this.down !== null) throw new HarnessError("engine-unreachable", this.down);
  }
}
