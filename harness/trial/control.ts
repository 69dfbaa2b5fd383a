import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileTokens, newToken, rotateToken } from "../control/tokens/index.ts";
import { makeFolder } from "../base/make-folder.ts";
import { PLANES, type Plane } from "../control/planes.ts";
import { auditIn, controlHome, verifyAudit } from "../control/audit/index.ts";
import { setPassword } from "../panel/users.ts";
import type { Deps, SubjectInstance } from "../protocol.ts";
import type { ControlRecord } from "../store/record.ts";
import type { OperatorLauncher, OperatorVariant } from "./operator-run.ts";

/** The control plane of one trial: a compose-agent and a status panel that were started for it, with tokens of its own. */
export interface TrialControl extends AsyncDisposable {
  /** What an operator's program on this machine is told in place of the engine's address; neutral words. */
  readonly operator: Readonly<Record<string, string>>;
  /** How its program is started in a container that the control plane's guard covers; null = there are no containers. */
  readonly startOperator: OperatorLauncher | null;
  /** Where people can watch while it runs, and how to sign in there. */
  readonly panel: string;
  /** Ends the compose-agent in order and says what went through it. Idempotent. */
  finish(): Promise<ControlRecord>;
}

export interface ControlGiven {
  /** The trial's ticket file. */
  readonly tickets: string;
  /** Of the control plane: tokens, audit, queue. Its path says nothing. */
  readonly folder: string;
  readonly variant: OperatorVariant;
}

/** Starts it on an instance that is up. @throws HarnessError; nothing is left then. */
export type ControlStarter = (
  instance: SubjectInstance,
  given: ControlGiven,
  signal: AbortSignal,
) => Promise<TrialControl>;

export const COMPOSE_AGENT_WRITER = "compose-agent";

/** Below the control folder; a folder per plane, so that each program is handed its own alone. */
export const tokensBelow = (folder: string): string => join(folder, "tokens");

/** Fresh tokens of both planes, for one trial. @throws TokenError */
export async function makeTokens(
  folder: string,
  deps: Pick<Deps, "clock" | "ids">,
  signal: AbortSignal,
): Promise<void> {
  const provider = fileTokens(tokensBelow(folder), deps);
  for (const plane of PLANES) await rotateToken(provider, plane, {}, deps, signal);
}

/** TOKEN_DIR of a program of one plane: its own token is in there, and the other's is not. */
export async function tokensOf(plane: Plane, folder: string): Promise<string> {
  const own = join(folder, "handed", plane);
  makeFolder(own, 0o700);
  // A link to the folder, since a rotation puts a new file in the old one's place.
  await symlink(join(tokensBelow(folder), plane), join(own, plane)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  return own;
}

/** Somebody who may sign in at the panel, for one trial; the password is in a file that goes with it. */
export async function makePanelUser(folder: string, { ids }: Pick<Deps, "ids">): Promise<void> {
  const password = newToken(ids);
  await setPassword(usersBelow(folder), PANEL_USER, password);
  await writeFile(passwordBelow(folder), `${password}\n`, { mode: 0o600 });
}

const PANEL_USER = "oncall";
/** Where the panel looks for it, in the folder of its own token. */
const usersBelow = (folder: string): string => join(tokensBelow(folder), "status_panel", "users");
const passwordBelow = (folder: string): string => join(tokensBelow(folder), "panel-password");
export const signInOf = (folder: string): string => `user ${PANEL_USER}, password in ${passwordBelow(folder)}`;

/** What the trial's audit says, once nobody writes it any more. */
export function controlRecord(folder: string): ControlRecord {
  using options = auditIn(controlHome(folder), COMPOSE_AGENT_WRITER);
  const { intact, lines, head, findings, byPlane, outcomes } = verifyAudit(options);
  return {
    mode: "compose",
    plane: "compose_agent",
    commands: byPlane,
    outcomes,
    audit: { intact, lines, head: head.hash, findings: findings.map(({ text, place }) => `${text} (${place})`) },
  };
}
