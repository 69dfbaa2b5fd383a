import type { EpochMs } from "../../base/clock.ts";
import { HarnessError } from "../../base/errors.ts";
import { readAudit, verifyAudit, type AuditOptions } from "../audit/index.ts";
import type { AgentAct, AgentActs } from "./legacy.ts";

/** What the agent's plane did, from the compose-agent's audit. A trail with a hole in it tells nothing. */
export function auditedAgentActs(options: AuditOptions): AgentActs {
  return {
    between: (from, to) => {
      const report = verifyAudit(options);
      if (report.lines === 0) throw new HarnessError("not-found", `there is no audit in ${report.folder}`);
      if (!report.intact)
        throw new HarnessError(
          "store-failed",
          `the audit in ${report.folder} is not whole: ${report.findings[0]?.text ?? ""}`,
        );
      const acts = new Map<number, AgentAct>();
      for (const record of readAudit(options)) {
        const at = Date.parse(record.at);
        if (at < from || at > to) continue;
        if (record.kind === "intent" && record.plane === "compose_agent")
          acts.set(record.seq, { at: at as EpochMs, command: nameOf(record), effect: record.effect ?? "destructive" });
        // What was refused did nothing.
        if (record.kind === "outcome" && record.verdict === "refused") acts.delete(record.of);
      }
      return Promise.resolve([...acts.values()]);
    },
  };
}

const nameOf = ({ command, target }: { readonly command: string; readonly target: string | null }): string =>
  target === null ? command : `${command} ${target}`;
