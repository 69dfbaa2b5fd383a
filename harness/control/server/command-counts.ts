import type { Clock } from "../../base/clock.ts";
import type { EpochMs } from "../../protocol.ts";
import type { Plane } from "../planes.ts";

/** As `/health` and `/api/v1/diagnostics/commands` tell it: commands that were carried out, by who asked. */
export class CommandCounts {
  readonly #clock: Pick<Clock, "now">;
  readonly #counts: Record<Plane, number> = { status_panel: 0, compose_agent: 0 };
  #lastPlane: Plane | null = null;
  #lastAt: EpochMs | null = null;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** To be called where a command begins to run, and nowhere else. */
  ran(plane: Plane): void {
    this.#counts[plane] += 1;
    this.#lastPlane = plane;
    this.#lastAt = this.#clock.now();
  }

  toJSON() {
    const { status_panel: panel, compose_agent: agent } = this.#counts;
    return {
      status_panel_count: panel,
      compose_agent_count: agent,
      total_count: panel + agent,
      last_control_plane: this.#lastPlane,
      last_command_timestamp_ms: this.#lastAt,
    };
  }
}
