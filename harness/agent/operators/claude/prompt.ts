import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isoTime } from "../../../base/clock.ts";
import type { Incident, SafetyMode } from "../../../protocol.ts";

/** A change of the text is a new file and a new version: results of different prompts are not the same operator's. */
export const PROMPT_VERSION = "v1";

export interface Prompt {
  readonly text: string;
  /** Version and digest, for the record. */
  readonly version: string;
}

export async function loadPrompt(): Promise<Prompt> {
  const text = await readFile(join(import.meta.dirname, `prompt-${PROMPT_VERSION}.md`), "utf8");
  return { text, version: `${PROMPT_VERSION} sha256:${createHash("sha256").update(text).digest("hex")}` };
}

const MODE_TEXT: Readonly<Record<SafetyMode, string>> = {
  observe:
    "\n# Observe mode\n\nYou cannot change anything in this session. Find the cause and submit it; end with `escalated`, or `no-fault`.\n",
  propose:
    "\n# Propose mode\n\nA person has to approve each call that changes something; it runs when they have. Their answer may take minutes, which does not count as your time. If one is rejected, the answer says why; when the state has changed meanwhile, look again before you propose it again.\n",
  execute: "",
};

export function systemText(prompt: Prompt, briefing: string, mode: SafetyMode): string {
  return `${prompt.text}\n${briefing}${MODE_TEXT[mode]}`;
}

/** The incident, quoted: its words come from monitors and people. */
export function incidentText(incident: Incident): string {
  const tickets = incident.tickets.map((ticket) => ({
    ticket: ticket.id,
    check: ticket.invariant,
    component: ticket.component,
    severity: ticket.severity,
    seen: ticket.message,
    first_seen_at: isoTime(ticket.firstSeenAt),
    measured: ticket.snapshot,
    note: ticket.context,
  }));
  return `An incident is assigned to you.\n\n${quoted("incident", JSON.stringify(tickets, null, 1))}`;
}

/** Data in a frame that it cannot close. */
export function quoted(frame: string, text: string): string {
  return `<${frame}>\n${text.replaceAll(/<(\/?)(tool_output|incident)\b/gi, "<\\$1$2")}\n</${frame}>`;
}
