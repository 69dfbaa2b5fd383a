/** `empty` = a list or map without items: it says nothing about them. */
export type Kind = "string" | "number" | "boolean" | "null" | "empty";

/** What of a body is compared: everything but the values of an object's leaves. */
export type Body =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "json";
      readonly value: unknown;
      readonly layout: string;
      readonly leaves: ReadonlyMap<string, Kind>;
    };

/** A body as its content type says it; region endpoints send JSON as octets. */
export function readBody({ contentType, body }: { readonly contentType: string | null; readonly body: string }): Body {
  if (!/json|octet-stream/.test(contentType ?? "")) return { kind: "text", text: body };
  try {
    const value: unknown = JSON.parse(body);
    return { kind: "json", value, layout: layoutOf(body), leaves: leavesOf(value) };
  } catch {
    return { kind: "text", text: body };
  }
}

/** How JSON is laid out: PD indents by two and ends with a newline, but not where regions are concerned. */
function layoutOf(body: string): string {
  return `${/^[[{]\n {2}/.test(body) ? "indented" : "plain"}, ${body.endsWith("\n") ? "newline" : "no newline"}`;
}

/** Path of every leaf -> its kind. Indexes, ids and scheduler names as keys are folded: `.stores[].store.id`, `.#.rate`. */
export function leavesOf(value: unknown, path = "", found = new Map<string, Kind>()): Map<string, Kind> {
  if (Array.isArray(value)) {
    if (value.length === 0) add(found, `${path}[]`, "empty");
    for (const item of value) leavesOf(item, `${path}[]`, found);
  } else if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0) add(found, `${path}{}`, "empty");
    for (const [key, inner] of entries) leavesOf(inner, `${path}.${/^\d+$/.test(key) ? "#" : key}`, found);
  } else add(found, path, value === null ? "null" : (typeof value as Kind));
  return found;
}

/** Of several items the one that says most counts. */
function add(found: Map<string, Kind>, path: string, kind: Kind): void {
  const known = found.get(path);
  if (known === undefined || known === "null" || known === "empty") found.set(path, kind);
}
