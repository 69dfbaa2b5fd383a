import type { EpochMs } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { Effect } from "../../protocol.ts";
import type { AuditTrail } from "../audit/index.ts";
import type { WatchdogSettings } from "./settings.ts";

/** How the deployment changes its mode. Each resolves when the agent of that mode has been started; both idempotent. */
export interface ModeSwitch {
  /** The agent with the engine's socket, from the legacy compose file. */
  toLegacy(signal: AbortSignal): Promise<void>;
  toCompose(signal: AbortSignal): Promise<void>;
}

/** What the agent's plane did, from the control plane's own record. */
export interface AgentActs {
  /** Commands of the agent's plane that were not refused. @throws when the record cannot be read: then nothing is known. */
  between(from: EpochMs, to: EpochMs): Promise<readonly AgentAct[]>;
}

export interface AgentAct {
  readonly at: EpochMs;
  readonly command: string;
  readonly effect: Effect;
}

export interface LegacyParts {
  readonly modes: ModeSwitch;
  readonly agentActs: AgentActs;
  /** A change of mode that cannot be audited does not happen. */
  readonly audit: AuditTrail;
}

/**
 * Why the agent may not have the engine's socket now; null = it may. The host must have allowed it, and the failure
 * must not follow a command of the agent's own: an operator that can bring its guard down must not be given the keys
 * for it. Not knowing is no.
 */
export async function whyNoFallback(
  parts: LegacyParts | null,
  failure: { readonly badSince: EpochMs; readonly at: EpochMs },
  settings: WatchdogSettings,
): Promise<string | null> {
  if (!settings.allowLegacyFallback) return "the host does not allow it (allow_legacy_fallback)";
  if (parts === null) return "this deployment has no legacy form";
  const from = (failure.badSince - settings.blameMs) as EpochMs;
  try {
    const all = await parts.agentActs.between(from, failure.at);
    // What only looked changed nothing; but reading that goes on while it fails, and fails again, may be what fells it.
    const acts = all.filter(({ at, effect }) => effect !== "read" || at >= failure.badSince);
    const last = acts.at(-1);
    if (last === undefined) return null;
    return `the agent's own command \`${last.command}\` came ${said(failure.badSince - last.at)} (${acts.length} in all)`;
  } catch (error) {
    return `nobody can say what the agent did before: ${errorText(error)}`;
  }
}

interface Switch {
  readonly to: "legacy" | "compose";
  readonly why: string;
  /** The intent is in the audit; the next is the act. */
  begun(): Promise<void>;
}

/** Both ways, with intent and outcome in the audit. @throws AuditError before `begun`, or after the act; what the switch threw. */
export async function switchMode(
  { modes, audit }: LegacyParts,
  { to, why, begun }: Switch,
  signal: AbortSignal,
): Promise<void> {
  const handle = await audit.intent({
    plane: "watchdog",
    caller: "watchdog",
    command: to === "legacy" ? "legacy-fallback" : "legacy-return",
    target: "agent",
    effect: "write",
    incident: null,
    commandId: null,
    params: { why },
  });
  await begun();
  try {
    await (to === "legacy" ? modes.toLegacy(signal) : modes.toCompose(signal));
  } catch (error) {
    await audit.outcome(handle, { verdict: "failed", code: "engine-failed", why: errorText(error) });
    throw error;
  }
  await audit.outcome(handle, { verdict: "ok", code: null });
}

function said(beforeMs: number): string {
  return beforeMs >= 0 ? `${Math.round(beforeMs / 1000)} s before the failure` : "while it was failing";
}
