import { createHash } from "node:crypto";
import type { ChainWriter } from "./chain-writer.ts";
import type { AuditEntry, AuditOutcome, AuditTrail, AuditVerdict } from "./types.ts";

const PARAMS_BYTES = 2_048;
const WHY_CHARS = 500;

/** The trail that programs write to, over an open chain. Disposing writes what was asked for and lets the chain go. */
export function trailOf(chain: ChainWriter, lock: Disposable): AuditTrail {
  const byVerdict: Record<AuditVerdict, number> = { ok: 0, failed: 0, refused: 0, unknown: 0 };
  let intents = 0;
  let outcomes = 0;
  const counted = (verdict: AuditVerdict): void => {
    outcomes++;
    byVerdict[verdict]++;
  };
  return {
    writer: chain.writer,
    async intent(entry) {
      const seq = await chain.append([() => intentLine(entry)]);
      intents++;
      return { seq, entry };
    },
    async outcome({ seq, entry }, outcome) {
      await chain.append([() => outcomeLine(seq, entry, outcome)], { owed: true });
      counted(outcome.verdict);
    },
    async refused(entry, outcome) {
      await chain.append([
        () => intentLine(entry),
        (seq) => outcomeLine(seq - 1, entry, { verdict: "refused", ...outcome }),
      ]);
      intents++;
      counted("refused");
    },
    async event(name, fields) {
      await chain.append([() => ({ kind: "event", name, fields: bounded(fields) })]);
    },
    head: () => chain.head,
    counts: () => ({ intents, outcomes, byVerdict: { ...byVerdict }, failing: chain.failing }),
    async [Symbol.asyncDispose]() {
      await chain.close();
      lock[Symbol.dispose]();
    },
  };
}

function intentLine({ params, ...entry }: AuditEntry) {
  return { kind: "intent" as const, ...who(entry), ...(params === undefined ? {} : { params: bounded(params) }) };
}

export function outcomeLine(of: number, entry: Omit<AuditEntry, "params">, { verdict, code, why }: AuditOutcome) {
  return {
    kind: "outcome" as const,
    of,
    ...who(entry),
    verdict,
    code,
    ...(why === undefined ? {} : { why: why.slice(0, WHY_CHARS) }),
  };
}

/** Only what belongs there, whatever else the caller's object carries. */
function who(entry: Omit<AuditEntry, "params">): Omit<AuditEntry, "params"> {
  const { plane, caller, command, target, effect, incident, commandId } = entry;
  return { plane, caller, command, target, effect, incident, commandId };
}

function bounded(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const text = JSON.stringify(fields);
  if (Buffer.byteLength(text) <= PARAMS_BYTES) return { ...fields };
  return { bytes: Buffer.byteLength(text), sha256: createHash("sha256").update(text).digest("hex") };
}
