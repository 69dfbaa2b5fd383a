import type { StoreMeta } from "../state.ts";
import type { LabelConstraint } from "./rule.ts";

/** A store with one of these takes only what asks for it (tikv/pd:pkg/schedule/placement/label_constraint.go). */
const EXCLUSIVE = ["engine", "exclusive"];
/** So far apart at one level counts for more than anything at the levels below. */
const BASE = 100;

export function labelOf({ labels }: StoreMeta, key: string): string {
  return labels.find((label) => label.key.toLowerCase() === key.toLowerCase())?.value ?? "";
}

export function matchesConstraints(store: StoreMeta, constraints: readonly LabelConstraint[]): boolean {
  const isExclusive = (key: string) => EXCLUSIVE.includes(key) || key.startsWith("$");
  if (store.labels.some(({ key }) => isExclusive(key) && constraints.every((each) => each.key !== key))) return false;
  return constraints.every(({ key, op, values }) => {
    const value = labelOf(store, key);
    if (op === "in") return value !== "" && values.includes(value);
    if (op === "notIn") return value === "" || !values.includes(value);
    return (op === "exists") === (value !== "");
  });
}

/** How far one store is from the others: 100^k for the first of the k-th last labels that differs. */
export function distinctScore(labels: readonly string[], others: readonly StoreMeta[], store: StoreMeta): number {
  return others
    .filter(({ id }) => id !== store.id)
    .reduce((sum, other) => {
      const at = labels.findIndex((label) => labelOf(store, label) !== labelOf(other, label));
      return at === -1 ? sum : sum + BASE ** (labels.length - at - 1);
    }, 0);
}

/** Of a whole set: the sum over its pairs. */
export function isolationScore(stores: readonly StoreMeta[], labels: readonly string[]): number {
  return stores.reduce((sum, store, at) => sum + distinctScore(labels, stores.slice(at + 1), store), 0);
}

/** Whether the store shares none of the labels down to `level` with any of the others. */
export function isIsolated(
  level: string,
  labels: readonly string[],
  others: readonly StoreMeta[],
  store: StoreMeta,
): boolean {
  const depth = labels.indexOf(level);
  if (level === "" || depth === -1) return true;
  const path = (each: StoreMeta) => labels.slice(0, depth + 1).map((label) => labelOf(each, label));
  const own = path(store).join("\0");
  return others.every((other) => path(other).join("\0") !== own);
}
