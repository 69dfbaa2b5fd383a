import type { Handler, Routes } from "./reply.ts";

interface Route {
  readonly method: string;
  readonly parts: readonly string[];
  readonly handler: Handler;
  /** `METHOD /path/{param}` */
  readonly key: string;
}

export type Match =
  | { readonly kind: "found"; readonly handler: Handler; readonly key: string; readonly params: Record<string, string> }
  | { readonly kind: "wrong-method" }
  | { readonly kind: "none" };

/** `METHOD /path/{param}` -> handler. A literal part wins over a parameter. */
export class Router {
  readonly #routes: readonly Route[];

  constructor(...tables: readonly Routes[]) {
    this.#routes = tables
      .flatMap((table) => Object.entries(table))
      .map(([key, handler]) => {
        const [method = "", path = ""] = key.split(" ");
        return { method, parts: path.split("/"), handler, key };
      })
      .sort((a, b) => params(a) - params(b));
  }

  match(method: string, path: string): Match {
    const parts = path.split("/");
    let pathKnown = false;
    for (const route of this.#routes) {
      const found = matchParts(route.parts, parts);
      if (found === null) continue;
      if (route.method === method || (method === "HEAD" && route.method === "GET"))
        return { kind: "found", handler: route.handler, key: route.key, params: found };
      pathKnown = true;
    }
    return { kind: pathKnown ? "wrong-method" : "none" };
  }
}

function params(route: Route): number {
  return route.parts.filter((part) => part.startsWith("{")).length;
}

function matchParts(pattern: readonly string[], parts: readonly string[]): Record<string, string> | null {
  if (pattern.length !== parts.length) return null;
  const found: Record<string, string> = {};
  for (const [at, wanted] of pattern.entries()) {
    const given = parts[at] ?? "";
    if (wanted.startsWith("{")) found[wanted.slice(1, -1)] = decoded(given);
    else if (wanted !== given) return null;
  }
  return found;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
