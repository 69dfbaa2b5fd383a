import { masked } from "./masks.ts";
import type { Answer } from "./recording.ts";
import { readBody, type Kind } from "./shape.ts";
import { mayBeAbsent } from "./sometimes.ts";

export type DifferenceKind = "status" | "content-type" | "text" | "layout" | "missing-key" | "extra-key" | "type";

export interface Difference {
  readonly kind: DifferenceKind;
  /** Which key, as `.stores[].store.id`; empty where the whole answer differs. */
  readonly at: string;
  readonly wanted: string;
  readonly got: string;
}

export interface Comparison {
  readonly differences: readonly Difference[];
  /** How many leaf keys were compared, those that only one side has included. */
  readonly leaves: number;
}

/**
 * Holds an answer to a recorded one: status, content type, words (ids, times and addresses masked), layout, keys and
 * types. Values of keys are each server's own. Pure.
 */
export function compareAnswers(wanted: Answer, got: Omit<Answer, "ms">): Comparison {
  const differences: Difference[] = [];
  const differ = (kind: DifferenceKind, at: string, want: unknown, have: unknown) =>
    differences.push({ kind, at, wanted: String(want), got: String(have) });
  const [theirs, ours] = [readBody(wanted), readBody(got)];
  const leaves = theirs.kind === "json" ? theirs.leaves.size : 0;
  if (wanted.status !== got.status) {
    differ("status", "", `${wanted.status} ${head(wanted.body)}`, `${got.status} ${head(got.body)}`);
    return { differences, leaves };
  }
  if (wanted.contentType !== got.contentType) differ("content-type", "", wanted.contentType, got.contentType);
  if (theirs.kind === "text" || ours.kind === "text") {
    if (masked(wanted.body) !== masked(got.body)) differ("text", "", head(wanted.body), head(got.body));
    return { differences, leaves };
  }
  const [words, ownWords] = [wordsOf(theirs.value, wanted.status), wordsOf(ours.value, wanted.status)];
  if (words !== null && ownWords !== null) {
    if (words !== ownWords) differ("text", "", head(wanted.body), head(got.body));
    return { differences, leaves: Math.max(leaves, 1) };
  }
  // An empty list looks the same either way.
  if (!isBare(theirs.value) && !isBare(ours.value) && theirs.layout !== ours.layout)
    differ("layout", "", theirs.layout, ours.layout);
  const compared = compareLeaves(theirs.leaves, ours.leaves);
  return { differences: [...differences, ...compared.differences], leaves: compared.leaves };
}

function compareLeaves(theirs: ReadonlyMap<string, Kind>, ours: ReadonlyMap<string, Kind>): Comparison {
  const differences: Difference[] = [];
  const [theirBlanks, ownBlanks] = [blanksOf(theirs), blanksOf(ours)];
  let leaves = 0;
  for (const path of new Set([...theirs.keys(), ...ours.keys()])) {
    const [wanted, got] = [theirs.get(path), ours.get(path)];
    if (wanted !== undefined && got !== undefined) {
      leaves++;
      if (wanted !== got && !isBlankPair(wanted, got)) differences.push({ kind: "type", at: path, wanted, got });
    } else if (wanted !== undefined) {
      if (wanted === "empty" || isUnder(path, ownBlanks) || isParent(path, wanted, ours)) continue;
      leaves++;
      if (!mayBeAbsent(path)) differences.push({ kind: "missing-key", at: path, wanted, got: "absent" });
    } else if (got !== undefined) {
      if (got === "empty" || isUnder(path, theirBlanks) || isParent(path, got, theirs)) continue;
      leaves++;
      if (!mayBeAbsent(path)) differences.push({ kind: "extra-key", at: path, wanted: "absent", got });
    }
  }
  return { differences, leaves };
}

/** Go writes a list that was never made as `null`: one with items on the other side is no other type. */
const isParent = (path: string, kind: Kind, others: ReadonlyMap<string, Kind>): boolean =>
  kind === "null" &&
  [...others].some(
    ([other, item]) => item !== "empty" && other.startsWith(path) && /^[.[]/.test(other.slice(path.length)),
  );

const isBlankPair = (a: Kind, b: Kind): boolean => a === "empty" || b === "empty";

/** Places whose items one side does not have: `.regions` for `.regions[]` empty, or null. */
function blanksOf(leaves: ReadonlyMap<string, Kind>): readonly string[] {
  return [...leaves]
    .filter(([, kind]) => kind === "empty" || kind === "null")
    .map(([path]) => path.replace(/(\[\]|\{\})$/, ""));
}

const isUnder = (path: string, blanks: readonly string[]): boolean =>
  blanks.some((blank) => path.startsWith(`${blank}[`) || path.startsWith(`${blank}.`) || path.startsWith(`${blank}{`));

/** A body that is words only: a message, a list of names, an error object. Null: it is an object, its values are data. */
function wordsOf(value: unknown, status: number): string | null {
  if (typeof value === "string") return masked(value);
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (status >= 400) return masked(JSON.stringify(value));
  // Names come in the order of a Go map. Sentences tell what is going on, which is data.
  const names =
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string" && !item.includes(" "));
  return names ? (value as string[]).map(masked).sort().join("\n") : null;
}

const isBare = (value: unknown): boolean =>
  value === null || (typeof value === "object" && Object.keys(value as object).length === 0);

function head(body: string): string {
  const line = body.trim().replaceAll(/\s+/g, " ");
  return line.length > 160 ? `${line.slice(0, 160)} ...` : line === "" ? "(empty body)" : line;
}
