import { stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { errorText, HarnessError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import { defaultStateDir } from "../control/audit/index.ts";
import type { ControlSettings } from "../control/settings.ts";
import type { AgentSite } from "../engine/agent-compose.ts";
import { attachedId } from "./attached-id.ts";
import type { CliIo } from "./io.ts";
import { ticketPath } from "./open-ticket-file.ts";
import { standingInstance } from "./standing-instance.ts";
import { standingNotice } from "./standing-notice.ts";

/** Compose project of `lab agent up`. */
export const AGENT_PROJECT = "operator-agent";

/**
 * What the agent's compose files are told on this machine: the user's ticket folder, the standing cluster or the one on
 * `network`, and folders that are no part of `~/.operator`, which the agent's container mounts.
 *
 * @throws HarnessError `store-failed` when the ticket folder cannot be made, or is somebody else's.
 */
export async function agentSite(
  { network, settings }: { readonly network: string; readonly settings: Pick<ControlSettings, "tokenDir"> },
  io: CliIo,
): Promise<AgentSite> {
  const ticketsDir = await ownFolder(dirname(ticketPath(io, undefined)));
  const standing = standingInstance(io);
  const onDocker = standing?.kind === "docker" && standing.network === network ? standing : null;
  // A cluster that cannot be asked now is no reason not to start or stop what is ours.
  const notice = onDocker === null ? null : await standingNotice(io).catch(() => null);
  const project = onDocker?.project ?? network.replace(/_default$/, "");
  return {
    ticketsDir,
    network,
    subjectProject: project,
    // Of the monitor that watches the same cluster: `lab monitor run`, there with --attach.
    instance: onDocker?.id ?? (io.env["INSTANCE_ID"] || attachedId(project)),
    stateDir: defaultStateDir(io.env),
    tokenDir: settings.tokenDir,
    ...(notice !== null && { more: { PANEL_NOTICE: notice } }),
  };
}

/** Before compose can: it would make the folder as root, and readable by everyone. */
async function ownFolder(folder: string): Promise<string> {
  try {
    makeFolder(folder, 0o700);
  } catch (error) {
    throw new HarnessError("store-failed", `cannot make ${folder}: ${errorText(error)}`, { cause: error });
  }
  const { uid } = await stat(folder);
  if (uid !== userInfo().uid)
    throw new HarnessError(
      "store-failed",
      `${folder} belongs to another user (uid ${uid}): sudo chown -R $(id -u) ${folder}`,
    );
  return folder;
}
