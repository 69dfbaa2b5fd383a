import { withDeadline } from "../../base/deadline.ts";
import { errorText, HarnessError } from "../../base/errors.ts";
import type { Clock, Log } from "../../protocol.ts";
import { COMMANDS } from "../contract.ts";
import { PLANES } from "../planes.ts";
import type { ServerCore } from "./core.ts";
import type { ControlServerOptions } from "./options.ts";

/** An engine that does not answer within this is not there. */
const PROBE_MS = 3_000;
/** How long an answer is good: everybody may ask. */
const FRESH_MS = 2_000;

/**
 * What works right now, asked of what is below; null = it does, else the error's code. Not its words: everybody may ask,
 * the agent too, and they name paths of this machine. The log has them.
 */
export interface Probed {
  readonly engine: string | null;
  readonly tickets: string | null;
}

/** Asks engine and ticket file, at most once in two seconds however many want to know. */
export class Probe {
  readonly #options: Pick<ControlServerOptions, "engine" | "tickets">;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #life: AbortSignal;
  /** What was said of each part last. */
  readonly #said = new Map<string, string | null>();
  #last: { readonly atMs: number; readonly found: Promise<Probed> } | null = null;

  constructor(
    options: Pick<ControlServerOptions, "engine" | "tickets">,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    life: AbortSignal,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#life = life;
  }

  /** For each part why it does not work; null = it does. */
  now(): Promise<Probed> {
    const atMs = this.#clock.monotonic();
    if (this.#last === null || atMs - this.#last.atMs > FRESH_MS) this.#last = { atMs, found: this.#look() };
    return this.#last.found;
  }

  async #look(): Promise<Probed> {
    const { engine, tickets } = this.#options;
    const limit = (what: string) => ({ ms: PROBE_MS, what, signal: this.#life });
    const [containers, file] = await Promise.allSettled([
      withDeadline(this.#clock, limit("the engine"), (signal) => engine.list(signal)),
      tickets === null
        ? Promise.resolve(null)
        : withDeadline(this.#clock, limit("the ticket file"), () => tickets.monitors()),
    ]);
    return { engine: this.#whyNot("engine", containers), tickets: this.#whyNot("tickets", file) };
  }

  #whyNot(part: string, result: PromiseSettledResult<unknown>): string | null {
    const why = result.status === "fulfilled" ? null : errorText(result.reason);
    if (why !== (this.#said.get(part) ?? null) && !this.#life.aborted)
      if (why === null) this.#log.info("control.part-back", { part });
      else this.#log.warn("control.part-lost", { part, why });
    this.#said.set(part, why);
    if (result.status === "fulfilled") return null;
    return result.reason instanceof HarnessError ? result.reason.code : "internal";
  }
}

/** `GET /capabilities`. */
export async function capabilities(core: ServerCore) {
  const { options, serverId, epoch } = core;
  const found = await core.probe.now();
  const withTickets = options.tickets !== null && found.tickets === null;
  const commands = Object.keys(COMMANDS).filter((name) =>
    name.startsWith("ticket_") ? withTickets : found.engine === null,
  );
  return {
    compose_agent: found.engine === null,
    control_plane: options.controlPlane,
    version: options.version,
    features: [
      ...(found.engine === null ? [options.engine.kind, "logs-cursor"] : []),
      ...commands,
      ...(withTickets ? ["tickets", "sessions", "approvals", "watchdog"] : []),
      "queue",
      "events",
    ],
    mode: options.mode,
    server_id: serverId,
    boot_epoch: epoch.current,
    time_ms: core.deps.clock.now(),
  };
}

/** `GET /health`. */
export async function health(core: ServerCore) {
  const { options, counts, queued, parts, runner } = core;
  const found = await core.probe.now();
  const failing = options.audit.counts().failing === null ? null : "audit-failed";
  const planes = Object.fromEntries(
    PLANES.map((plane) => {
      const { ageSeconds, lastRefreshOk, lastFailure, rotations } = options.tokens.state(plane);
      return [
        plane,
        { token_age_seconds: ageSeconds, last_refresh_ok: lastRefreshOk, rotations, why: lastFailure },
      ] as const;
    }),
  );
  const own = planes[options.controlPlane];
  const owing = runner.owed === 0 ? null : "store-failed";
  const wrong = [found.engine, found.tickets, failing, owing, ...Object.values(planes).map(({ why }) => why)];
  return {
    status: wrong.every((why) => why === null) ? "ok" : "degraded",
    token_age_seconds: own?.token_age_seconds ?? null,
    last_refresh_ok: own?.last_refresh_ok ?? null,
    command_metrics: counts.toJSON(),
    planes,
    engine: { ok: found.engine === null, why: found.engine },
    tickets: options.tickets === null ? null : { ok: found.tickets === null, why: found.tickets },
    audit: { ok: failing === null, why: failing },
    queue: { owed: runner.owed, ...queued.depth(), ...parts.slots.counts(queued.depth().server) },
    mode: options.mode,
    version: options.version,
    control_plane: options.controlPlane,
  };
}
