/** Instants, ids, addresses and amounts are each server's own; the words around them must be the same. */
const MASKS: readonly (readonly [RegExp, string])[] = [
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.]*( ?\+0000 UTC|Z)?( m=[+-][\d.]+)?/g, "TIME"],
  [/https?:\/\/[^\s"\\/]+/g, "URL"],
  [/\b(?:pd|tikv)\d+(?::\d+)?\b/g, "NODE"],
  [/\b\d+\.\d+\.\d+\.\d+(?::\d+)?\b/g, "NODE"],
  // What a Go program says when it gives up, with the addresses of its own code.
  [/goroutine \d+ \[[^]*$/, "STACK"],
  [/\b[0-9A-F]{8,}\b/g, "KEY"],
  [/\d+(\.\d+)?([a-zµ]+\d+(\.\d+)?)*/g, "N"],
];

/** A text without what differs from one server to the next. */
export function masked(text: string): string {
  return MASKS.reduce((rest, [pattern, word]) => rest.replace(pattern, word), text);
}
