import { errorText, HarnessError } from "../base/errors.ts";
import { COMMANDS, type CommandName, type CommandReport } from "../control/contract.ts";
import type { Deps } from "../protocol.ts";
import type { ControlPort } from "./control-port.ts";
import { settleLater } from "./settle-later.ts";
import { routeOf, type ControlSight, type Route } from "./route.ts";
import type { Parts } from "./parts.ts";
import type { Done } from "./sight.ts";
import type { ThroughAgent } from "./through-agent.ts";

/** Commands that people may give here, in the order of the buttons. What cannot be taken back is not among them. */
export const PEOPLE_MAY = ["start", "restart", "stop", "pause", "unpause", "ticket_hold", "ticket_unhold"] as const;
export type PeoplesCommand = (typeof PEOPLE_MAY)[number];

const KEPT = 30;

/** Runs people's commands where they can be run, and remembers what came of them. */
export interface Actions {
  /** Never throws: a refusal and a failure are outcomes too. */
  run(name: PeoplesCommand, params: Readonly<Record<string, unknown>>, by: string, signal: AbortSignal): Promise<Done>;
  /** Newest first. */
  done(): readonly Done[];
}

export function openActions(
  parts: {
    readonly control: Pick<ControlPort, "execute" | "get">;
    /** The way to an agent in legacy mode. */
    agent(agentId: string): Pick<ThroughAgent, "execute">;
    readonly registered: Parts;
    /** As it was read last. */
    sightOfControl(): ControlSight;
    /** Something has changed: tell whoever looks. */
    changed(): void;
  },
  { clock, ids, log }: Pick<Deps, "clock" | "ids" | "log">,
): Actions {
  let kept: readonly Done[] = [];
  const keep = (done: Done): Done => {
    kept = [done, ...kept.filter(({ id }) => id !== done.id)].slice(0, KEPT);
    parts.changed();
    return done;
  };

  const send = async (
    route: Exclude<Route, { to: "nobody" }>,
    { id, name, params }: { readonly id: string; readonly name: CommandName; readonly params: object },
    sent: Done,
    signal: AbortSignal,
  ): Promise<CommandReport> => {
    const options = { idempotencyKey: id, reason: `${sent.by} in the panel` };
    if (route.to === "compose-agent") return await parts.control.execute(name, params, options, signal);
    const late = (report: CommandReport) => void keep({ ...sent, ...outcomeOf(report), plane: report.executed_by });
    return await parts.agent(route.agentId).execute(name, params, { ...options, late }, signal);
  };

  return {
    done: () => kept,
    run: async (name, params, by, signal) => {
      const parsed = COMMANDS[name].params.safeParse(params);
      const what = `${WORDS[name]} ${String(params["component"] ?? `#${String(params["ticket"])}`)}`;
      const begun: Done = {
        id: ids.hex(8),
        at: clock.now(),
        by,
        what,
        state: "running",
        text: "",
        ranAt: null,
        plane: null,
      };
      if (!parsed.success) return keep({ ...begun, state: "refused", text: "these parameters make no sense" });
      const route = routeOf(name, parts.sightOfControl(), parts.registered.list());
      if (route.to === "nobody") return keep({ ...begun, state: "refused", text: route.why });
      const sent = { ...begun, ranAt: route.to };
      keep(sent);
      log.info("panel.command", { command: name, by, to: route.to, id: begun.id });
      try {
        const report = await send(route, { id: begun.id, name, params: parsed.data }, sent, signal);
        return keep({ ...sent, ...outcomeOf(report), plane: report.executed_by });
      } catch (error) {
        const text = errorText(error);
        if (error instanceof HarnessError && "apiCode" in error) return keep({ ...sent, state: "refused", text });
        if (route.to === "agent") return keep({ ...sent, state: isFetched(error) ? "unknown" : "failed", text });
        // It may have arrived all the same: whoever took it has it on disk, and is asked once it answers again.
        void settleLater(begun.id, parts.control, { clock }, signal).then((known) => {
          if (known !== null) keep({ ...sent, ...outcomeOf(known), plane: known.executed_by });
        });
        return keep({ ...sent, state: "unknown", text: `${text}; it is asked for again` });
      }
    },
  };
}

/** An agent has it in hand, or had. */
function isFetched(error: unknown): boolean {
  return error instanceof HarnessError && error.details["fetched"] === true;
}

/** What people call them. */
const WORDS: Readonly<Record<PeoplesCommand, string>> = {
  start: "start",
  restart: "restart",
  stop: "stop",
  pause: "pause",
  unpause: "resume",
  ticket_hold: "hold ticket",
  ticket_unhold: "give back ticket",
};

function outcomeOf({ status, error, result }: CommandReport): Pick<Done, "state" | "text"> {
  if (status === "success")
    return { state: "success", text: result === null ? "" : `took ${result.duration_secs.toFixed(1)} s` };
  if (status === "failed") return { state: "failed", text: error ?? "it failed and did not say why" };
  if (status === "unknown")
    return {
      state: "unknown",
      text: error ?? "begun, and nobody can say whether it took effect; look before you repeat it",
    };
  return { state: "running", text: "it waits in the queue" };
}
