import { join } from "node:path";
import { errorText } from "../../base/errors.ts";
import { chainFiles, scanFile } from "./chain-files.ts";
import { CHAIN_START, checkAnchor, checkFile, type AuditFinding, type ChainState } from "./check-chain.ts";
import { readKey } from "./key.ts";
import type { AuditRecord } from "./line.ts";
import type { AuditHead, AuditOptions, AuditVerdict } from "./types.ts";

export interface AuditReport {
  readonly writer: string;
  readonly folder: string;
  /** Nothing was found. */
  readonly intact: boolean;
  readonly findings: readonly AuditFinding[];
  readonly files: number;
  readonly lines: number;
  readonly intents: number;
  readonly outcomes: Readonly<Record<AuditVerdict, number>>;
  /** Commands by plane. */
  readonly byPlane: Readonly<Record<string, number>>;
  /** Intents without an outcome: running now, or a writer that was killed and has not started again. */
  readonly open: readonly number[];
  /** A last line that was being written when its writer was killed (or is right now); told apart from a cut tail by the anchors. */
  readonly torn: string | null;
  readonly head: AuditHead;
  readonly anchors: readonly { readonly place: string; readonly seq: number | null }[];
  readonly firstAt: string | null;
  readonly lastAt: string | null;
}

/**
 * Reads one writer's whole chain and holds it against its key and anchors; changes nothing, and may run while the
 * writer does. Never throws for what it finds.
 */
export function verifyAudit({ writer, folder, keyFolder, anchors }: AuditOptions): AuditReport {
  const place = join(folder, writer);
  const key = saying("key", keyFolder, () => readKey(keyFolder));
  if (!("value" in key) || key.value === null) {
    const files = chainFiles(place).length;
    const found: AuditFinding =
      "value" in key
        ? { kind: "key", place: keyFolder, seq: null, text: `there is no key in ${keyFolder}: nothing can be verified` }
        : key.finding;
    return reportOf(writer, place, { findings: files === 0 && "value" in key ? [] : [found], files });
  }
  return verifyWith(key.value, { writer, place, anchors });
}

function verifyWith(
  key: Buffer,
  { writer, place, anchors }: { writer: string; place: string; anchors: AuditOptions["anchors"] },
): AuditReport {
  // Before the files: a writer that goes on meanwhile is then ahead of what its anchors said.
  const heads = anchors.map((anchor) => ({
    place: anchor.place,
    read: saying("anchor", anchor.place, () => anchor.read(key, writer)),
  }));
  const anchored = new Set(
    heads.flatMap(({ read }) => ("value" in read && read.value !== null ? [read.value.seq] : [])),
  );
  const findings: AuditFinding[] = [];
  const hashes = new Map<number, string>();
  const tally = new Tally();
  let state: ChainState = CHAIN_START;
  let torn: string | null = null;
  let end = `${place}:1`;
  const files = chainFiles(place);
  for (const [index, { path }] of files.entries()) {
    const scanned = saying("unreadable", path, () => scanFile(path, key));
    if ("finding" in scanned) {
      findings.push(scanned.finding);
      continue;
    }
    const { lines, rest } = scanned.value;
    const checked = checkFile(path, lines, writer, state);
    state = checked.state;
    findings.push(...checked.findings);
    end = `${path}:${lines.length + 1}`;
    for (const { record, hash } of lines) {
      if (record === null) continue;
      tally.add(record);
      if (anchored.has(record.seq)) hashes.set(record.seq, hash);
    }
    if (rest === null) continue;
    if (index === files.length - 1) torn = end;
    else findings.push({ kind: "changed-line", place: end, seq: state.head.seq + 1, text: "a line has lost its end" });
  }
  for (const { place: at, read } of heads) {
    const found =
      "finding" in read
        ? read.finding
        : checkAnchor({ place: at, anchored: read.value }, { head: state.head, hashes, end });
    if (found !== null) findings.push(found);
  }
  return reportOf(writer, place, {
    findings,
    files: files.length,
    tally,
    torn,
    head: state.head,
    anchors: heads.map(({ place: at, read }) => ({
      place: at,
      seq: "value" in read ? (read.value?.seq ?? null) : null,
    })),
  });
}

/** Counts while files are read, so that a long chain need not be held. */
class Tally {
  lines = 0;
  intents = 0;
  readonly outcomes: Record<AuditVerdict, number> = { ok: 0, failed: 0, refused: 0, unknown: 0 };
  readonly byPlane: Record<string, number> = {};
  readonly open = new Set<number>();
  firstAt: string | null = null;
  lastAt: string | null = null;

  add(record: AuditRecord): void {
    this.lines++;
    this.firstAt ??= record.at;
    this.lastAt = record.at;
    if (record.kind === "intent") {
      this.intents++;
      this.open.add(record.seq);
      this.byPlane[record.plane] = (this.byPlane[record.plane] ?? 0) + 1;
    } else if (record.kind === "outcome") {
      this.outcomes[record.verdict]++;
      this.open.delete(record.of);
    }
  }
}

function reportOf(
  writer: string,
  folder: string,
  seen: {
    readonly findings: readonly AuditFinding[];
    readonly files: number;
    readonly tally?: Tally;
    readonly torn?: string | null;
    readonly head?: AuditHead;
    readonly anchors?: AuditReport["anchors"];
  },
): AuditReport {
  const { tally = new Tally() } = seen;
  return {
    writer,
    folder,
    intact: seen.findings.length === 0,
    findings: seen.findings,
    files: seen.files,
    lines: tally.lines,
    intents: tally.intents,
    outcomes: tally.outcomes,
    byPlane: tally.byPlane,
    open: [...tally.open],
    torn: seen.torn ?? null,
    head: seen.head ?? CHAIN_START.head,
    anchors: seen.anchors ?? [],
    firstAt: tally.firstAt,
    lastAt: tally.lastAt,
  };
}

function saying<T>(
  kind: AuditFinding["kind"],
  place: string,
  task: () => T,
): { readonly value: T } | { readonly finding: AuditFinding } {
  try {
    return { value: task() };
  } catch (error) {
    return { finding: { kind, place, seq: null, text: errorText(error) } };
  }
}
