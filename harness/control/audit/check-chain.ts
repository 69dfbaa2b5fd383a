import type { ScannedLine } from "./chain-files.ts";
import { NO_LINE } from "./line.ts";
import type { AuditHead } from "./types.ts";

export type AuditFindingKind =
  | "changed-line"
  | "removed-lines"
  | "inserted-line"
  | "broken-link"
  | "cut-tail"
  | "replaced-line"
  | "anchor"
  | "key"
  | "unreadable";

/** One thing that is not as it was written. */
export interface AuditFinding {
  readonly kind: AuditFindingKind;
  /** `file:line`, or the anchor's place. */
  readonly place: string;
  /** Of the line that is concerned, as far as it can be told. */
  readonly seq: number | null;
  readonly text: string;
}

/** Where a chain stands while its files are read one after another. */
export interface ChainState {
  readonly head: AuditHead;
  /** The line before was not what was written, so the next one's link to it means nothing. */
  readonly linkLost: boolean;
}

export const CHAIN_START: ChainState = { head: { seq: 0, hash: NO_LINE }, linkLost: false };

export interface CheckedFile {
  readonly state: ChainState;
  readonly findings: readonly AuditFinding[];
}

/** Pure: holds one file's lines against where the chain stood before it. Every finding names its line. */
export function checkFile(
  path: string,
  lines: readonly ScannedLine[],
  writer: string,
  before: ChainState,
): CheckedFile {
  const findings: AuditFinding[] = [];
  let state = before;
  for (const { no, record, hash } of lines) {
    const place = `${path}:${no}`;
    const expected = state.head.seq + 1;
    if (record === null || record.writer !== writer) {
      findings.push({
        kind: "changed-line",
        place,
        seq: expected,
        text: `line ${expected} of the chain was changed: it is not what was written with this key`,
      });
      state = { head: { seq: expected, hash }, linkLost: true };
      continue;
    }
    const { seq, prev } = record;
    if (seq > expected)
      findings.push({
        kind: "removed-lines",
        place,
        seq: expected,
        text: `${seq === expected + 1 ? `line ${expected} was` : `lines ${expected} to ${seq - 1} were`} removed before line ${seq} of the chain`,
      });
    else if (seq < expected)
      findings.push({
        kind: "inserted-line",
        place,
        seq,
        text: `line ${seq} of the chain stands where line ${expected} belongs: it was copied or moved here`,
      });
    else if (prev !== state.head.hash && !state.linkLost)
      findings.push({
        kind: "broken-link",
        place,
        seq,
        text: `line ${seq} of the chain does not follow the line before it: that one was replaced`,
      });
    state = { head: { seq: Math.max(seq, state.head.seq), hash }, linkLost: false };
  }
  return { state, findings };
}

/** What an anchor says of a chain that was read after it and ends at `end`. Null = it agrees. */
export function checkAnchor(
  { place, anchored }: { readonly place: string; readonly anchored: AuditHead | null },
  {
    head,
    hashes,
    end,
  }: { readonly head: AuditHead; readonly hashes: ReadonlyMap<number, string>; readonly end: string },
): AuditFinding | null {
  if (anchored === null)
    return head.seq === 0
      ? null
      : { kind: "anchor", place, seq: null, text: `the anchor ${place} is gone: a cut tail could not be told` };
  if (anchored.seq > head.seq)
    return {
      kind: "cut-tail",
      place: end,
      seq: head.seq + 1,
      text: `the tail was cut: the chain ends at line ${head.seq}, and ${place} knows line ${anchored.seq}`,
    };
  const found = hashes.get(anchored.seq);
  if (anchored.seq === 0 || found === undefined || found === anchored.hash) return null;
  return {
    kind: "replaced-line",
    place,
    seq: anchored.seq,
    text: `line ${anchored.seq} of the chain is another one than ${place} knows: the chain was rewritten`,
  };
}
