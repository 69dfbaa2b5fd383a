import { html } from "hono/html";
import type { ComponentStatus } from "../../control/registration.ts";
import type { PeoplesCommand } from "../actions.ts";
import type { Sight } from "../sight.ts";
import { none, oldState, plural, section, since, state, type Html, type Level } from "./markup.ts";
import { button, commandForm } from "./forms.ts";

/** The subject's components, each with what may be done to it. */
export function clusterSection(sight: Sight, formToken: string): Html {
  const { cluster } = sight;
  if (cluster === null)
    return section("cluster", "Cluster", none("Nobody who holds the engine has told of the cluster yet."));
  const { components, toldBy, at, stale } = cluster;
  const told = stale
    ? html`<p class="stale">
        ${state("bad", "out of date")}: the ${toldBy} that told this is gone; so it was ${since(at)}.
      </p>`
    : "";
  const up = components.filter(({ status }) => status === "running").length;
  return section(
    "cluster",
    "Cluster",
    html`${told}
      <ul class="rows ${stale ? "old" : ""}">
        ${components.map((one) => componentRow(one, stale, formToken))}
      </ul>`,
    html`<p class="dim">${up} of ${plural(components.length, "component")} ${stale ? "ran" : "running"}</p>`,
  );
}

function componentRow(one: ComponentStatus, stale: boolean, formToken: string): Html {
  const { component, restartCount } = one;
  const [level, text] = stateOf(one);
  const buttons = commandsFor(one.status).map((command) => button(`${component}-${command}`, command, component));
  return html`<li>
    <div class="row">
      <strong>${component}</strong> ${oldState(stale, level, text)}
      <span class="dim">${restartCount === 0 ? "" : plural(restartCount, "restart")}</span>
      ${commandForm({ id: `do-${component}`, formToken, fields: { component } }, buttons)}
    </div>
  </li>`;
}

function stateOf({ status, health }: ComponentStatus): readonly [Level, string] {
  if (status !== "running") return [status === "paused" || status === "restarting" ? "warn" : "bad", status];
  if (health === "unhealthy") return ["warn", "running, unhealthy"];
  return ["ok", health === "starting" ? "running, starting" : "running"];
}

function commandsFor(status: string): readonly PeoplesCommand[] {
  switch (status) {
    case "running":
      return ["restart", "pause", "stop"];
    case "paused":
      return ["unpause", "restart"];
    case "restarting":
      return ["restart", "stop"];
    default:
      return ["start"];
  }
}
