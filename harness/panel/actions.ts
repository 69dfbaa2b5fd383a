import { errorText, HarnessError } from "../base/errors.ts";
import { COMMANDS, commandSpec, type CommandName, type CommandReport } from "../control/contract.ts";
import type { Deps } from "../protocol.ts";
import type { ControlPort } from "./control-port.ts";
import type { Desk } from "./desk.ts";
import { routeOf, type ControlSight, type Route } from "./route.ts";
import type { Parts } from "./parts.ts";
import type { Done } from "./sight.ts";

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
    readonly control: Pick<ControlPort, "execute">;
    readonly desk: Desk;
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
    call: { readonly id: string; readonly name: CommandName; readonly params: Readonly<Record<string, unknown>> },
    by: string,
    signal: AbortSignal,
  ): Promise<CommandReport> => {
    const { id, name, params } = call;
    const options = { idempotencyKey: id, reason: `${by} in the panel` };
    if (route.to === "compose-agent") return await parts.control.execute(name, params, options, signal);
    const timeoutMs = commandSpec(name).timeoutMs(params as never) + 10_000;
    return await parts.desk.run(route.deploymentHash, { command_id: id, name, params }, timeoutMs, signal);
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
        const report = await send(route, { id: begun.id, name, params: parsed.data }, by, signal);
        return keep({ ...sent, ...outcomeOf(report), plane: report.executed_by });
      } catch (error) {
        const refused = error instanceof HarnessError && "apiCode" in error;
        const unknown = error instanceof HarnessError && error.details["fetched"] === true;
        return keep({ ...sent, state: unknown ? "unknown" : refused ? "refused" : "failed", text: errorText(error) });
      }
    },
  };
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
