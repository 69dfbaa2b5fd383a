import { errorText } from "../base/errors.ts";
import { auditIn, auditWriters, controlHome, defaultStateDir, verifyAudit } from "../control/audit/index.ts";
import { PLANES, type Plane } from "../control/planes.ts";
import { readSettings, type ControlSettings } from "../control/settings.ts";
import { fingerprintOf, tokenProvider } from "../control/tokens/index.ts";
import type { Finding } from "./doctor.ts";
import type { CliIo } from "./io.ts";

/** What compose mode needs on this machine. Beside the embedded cluster it brings everything along. */
export async function controlFindings(io: CliIo, dockerAnswers: boolean): Promise<readonly Finding[]> {
  let settings: ControlSettings;
  try {
    settings = readSettings({ env: io.env }).settings;
  } catch (error) {
    return [{ what: "control plane", state: "problem", text: errorText(error) }];
  }
  return [
    modeOf(settings),
    ...(await Promise.all(PLANES.map((plane) => tokenOf(plane, settings, io)))),
    ...(dockerAnswers ? [await imagesOf(io.signal)] : []),
    ...auditsIn(io),
  ];
}

function modeOf({ composeAgentEnabled, controlPlane }: ControlSettings): Finding {
  const text = composeAgentEnabled
    ? `compose mode is on, control plane ${controlPlane}`
    : "legacy mode: the agent holds the engine itself; --compose-mode, or COMPOSE_AGENT_ENABLED=true, changes that";
  return { what: "control plane", state: composeAgentEnabled ? "ok" : "info", text };
}

async function tokenOf(plane: Plane, settings: ControlSettings, io: CliIo): Promise<Finding> {
  const what = `token ${plane === "status_panel" ? "panel" : "agent"}`;
  try {
    const provider = tokenProvider(settings, plane, io.deps);
    const found = await provider.fetch(plane, io.signal);
    if (found !== null)
      return { what, state: "ok", text: `${plane}: ${fingerprintOf(found.current.token)}, ${provider.name}` };
    const made = settings.vault === null ? "`lab agent up --compose-mode` makes one, " : "";
    return {
      what,
      state: "info",
      text: `${plane}: none yet in ${provider.name}; ${made}\`lab token rotate ${plane}\` too`,
    };
  } catch (error) {
    return { what, state: "problem", text: `${plane}: ${errorText(error)}` };
  }
}

async function imagesOf(signal: AbortSignal): Promise<Finding> {
  const { imageLabels } = await import("../engine/images.ts");
  const { ownImages } = await import("../engine/own-images.ts");
  const tags = [ownImages.agent, ownImages.composeAgent, ownImages.panel, ownImages.netTools].map(({ tag }) => tag);
  const missing: string[] = [];
  for (const tag of tags) if ((await imageLabels(tag, signal)) === null) missing.push(tag);
  return missing.length === 0
    ? { what: "its images", state: "ok", text: tags.join(", ") }
    : { what: "its images", state: "info", text: `built when they are needed: ${missing.join(", ")}` };
}

/** Only where something has been written. */
function auditsIn(io: CliIo): readonly Finding[] {
  const home = controlHome(defaultStateDir(io.env));
  return auditWriters(home).map((writer): Finding => {
    using options = auditIn(home, writer);
    const { intact, lines, findings } = verifyAudit(options);
    return intact
      ? { what: "audit", state: "ok", text: `${writer}: intact, ${lines} lines` }
      : { what: "audit", state: "problem", text: `${writer}: ${findings[0]?.text ?? ""}; see \`lab audit verify\`` };
  });
}
