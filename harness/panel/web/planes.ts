import { html } from "hono/html";
import type { Plane } from "../../control/planes.ts";
import type { KnownPart } from "../parts.ts";
import type { Sight } from "../sight.ts";
import { duration, none, section, since, staleness, state, type Html } from "./markup.ts";

/** Both planes: alive, version, age of the token, commands a minute, failures. */
export function planesSection(sight: Sight): Html {
  const cards = html`<div class="cards">
    ${planeCard(sight, "status_panel", "People", "this panel", panelAlive(sight), sight.capabilities.value?.version)}
    ${
      sight.legacy === null
        ? planeCard(sight, "compose_agent", "Agent", "the operator's agent", agentAlive(sight), agentOf(sight)?.version)
        : ownEngineCard(sight)
    }
  </div>`;
  return section("planes", "Control planes", html`${cards}${staleness(sight.health)}`);
}

/** In legacy mode the agent's plane is not used: nothing of what its operator does passes here. */
function ownEngineCard(sight: Sight): Html {
  const mode = sight.health.value?.mode;
  return html`<article class="card" aria-labelledby="plane-compose_agent">
    <h3 id="plane-compose_agent">Agent <small>legacy mode</small></h3>
    <p>${agentAlive(sight)}</p>
    <dl>
      <dt>Who</dt>
      <dd>${sight.legacy?.agentId}</dd>
      ${
        mode === undefined
          ? ""
          : html`<dt>It may</dt>
              <dd>${MODES[mode] ?? mode}</dd>`
      }
      <dt>Version</dt>
      <dd>${agentOf(sight)?.version ?? "not known"}</dd>
      <dt>Commands</dt>
      <dd>not counted: they do not pass here</dd>
    </dl>
  </article>`;
}

const MODES: Readonly<Record<string, string>> = {
  observe: "look, not change anything",
  propose: "change what a person has approved",
  execute: "change the cluster",
};

function planeCard(
  sight: Sight,
  plane: Plane,
  title: string,
  who: string,
  alive: Html,
  version: string | undefined,
): Html {
  const { health, failures, perMinute } = sight;
  const token = health.value?.planes?.[plane] ?? (plane === "status_panel" ? health.value : null) ?? null;
  const counts = health.value?.command_metrics;
  const total = plane === "status_panel" ? counts?.status_panel_count : counts?.compose_agent_count;
  const rate = perMinute[plane];
  const failed = failures.value?.[plane];
  const stale = health.why !== null;
  return html`<article class="card ${stale ? "old" : ""}" aria-labelledby="plane-${plane}">
    <h3 id="plane-${plane}">${title} <small>${plane}</small></h3>
    <p>${alive}</p>
    <dl>
      <dt>Who</dt>
      <dd>${who}</dd>
      ${
        plane === "compose_agent" && health.value?.mode !== undefined
          ? html`<dt>It may</dt>
              <dd>${MODES[health.value.mode] ?? health.value.mode}</dd>`
          : ""
      }
      <dt>Version</dt>
      <dd>${version ?? "not known"}</dd>
      <dt>Token age</dt>
      <dd>
        ${
          token?.token_age_seconds === undefined || token.token_age_seconds === null
            ? "not known"
            : duration(Math.floor(token.token_age_seconds / 10) * 10)
        }
        ${token?.last_refresh_ok === false ? state("warn", "cannot be refreshed") : ""}
      </dd>
      <dt>Commands</dt>
      <dd>
        ${rate === null ? "counting" : `${round(rate)} a minute`}${total === undefined ? "" : `, ${total} in all`}
      </dd>
      <dt>Failures</dt>
      <dd>${failed === undefined ? "not known" : failed === 0 ? "none" : state("warn", String(failed))}</dd>
    </dl>
  </article>`;
}

function round(rate: number): string {
  return rate < 10 ? String(Math.round(rate * 10) / 10) : String(Math.round(rate));
}

function panelAlive({ health, legacy }: Sight): Html {
  if (health.value !== null && health.why === null) {
    const { status, engine, tickets, audit } = health.value;
    const why = [engine, tickets, audit].flatMap((part) => part?.why ?? []).join("; ");
    if (status === "ok") return html`${state("ok", "alive")}${legacy === null ? "" : ": the agent runs the commands"}`;
    return html`${state("warn", `alive, but ${status}`)}${why === "" ? "" : `: ${why}`}`;
  }
  if (health.why === null) return state("idle", "not asked yet");
  return health.at === null
    ? state("bad", "does not answer")
    : html`${state("bad", "does not answer")}, last answered ${since(health.at)}`;
}

function agentOf({ parts }: Sight): KnownPart | undefined {
  return parts.filter(({ part }) => part === "agent").toSorted((a, b) => a.silentMs - b.silentMs)[0];
}

function agentAlive(sight: Sight): Html {
  const agent = agentOf(sight);
  if (agent === undefined) return state("idle", "never heard of");
  return agent.gone ? html`${state("bad", "gone")}, last heard ${since(agent.heardAt)}` : state("ok", "alive");
}

/** Every program that registered; what is gone is shown as gone. */
export function programsSection({ parts }: Sight): Html {
  if (parts.length === 0) return section("programs", "Programs", none("No program has registered yet."));
  const order = ["compose-agent", "agent", "watchdog"];
  const sorted = parts.toSorted((a, b) => order.indexOf(a.part) - order.indexOf(b.part));
  return section(
    "programs",
    "Programs",
    html`<ul class="rows">
      ${sorted.map(
        (one) =>
          html`<li id="program-${one.part}-${one.agentId}">
            <div class="row">
              <strong>${one.part}</strong>
              ${one.gone ? html`${state("bad", "gone")}` : state("ok", "alive")}
              <span class="dim">${one.gone ? html`last heard ${since(one.heardAt)}` : ""} ${mode(one)}</span>
            </div>
            ${one.status.doing === undefined ? "" : html`<p class="dim">${one.status.doing}</p>`}
            <details id="program-${one.part}-${one.agentId}-more">
              <summary>${one.agentId}, version ${one.version}</summary>
              <p class="dim">
                Registered ${since(one.registeredAt)} for ${one.deploymentHash}, plane ${one.controlPlane}.
              </p>
              <p class="words">${one.features.length === 0 ? "It can do nothing." : one.features.join(" · ")}</p>
            </details>
          </li>`,
      )}
    </ul>`,
  );
}

function mode({ part, composeAgent }: KnownPart): string {
  if (part === "watchdog") return "";
  return composeAgent ? "compose mode" : "legacy mode";
}
