import { printExpr } from "../../../subjects/common/prometheus/promql/print.ts";
import { parseQuery } from "../../../subjects/common/prometheus/promql/parse.ts";
import type { Expr } from "../../../subjects/common/prometheus/promql/ast.ts";
import type { GeneratedQuery } from "./generate.ts";

/** The smallest query found that still fails, by putting parts of it in the place of the whole, and one instant for many. */
export async function shrink(
  query: GeneratedQuery,
  fails: (query: GeneratedQuery) => Promise<boolean>,
): Promise<GeneratedQuery> {
  for (const smaller of candidates(query)) if (await fails(smaller)) return shrink(smaller, fails);
  return query;
}

function candidates(query: GeneratedQuery): GeneratedQuery[] {
  const texts = expressions(query.text).map((text) => ({ ...query, text }));
  if (query.stepMs === 0) return texts;
  const instants: GeneratedQuery[] = [];
  for (let at = query.startMs; at <= query.endMs; at += query.stepMs)
    instants.push({ ...query, startMs: at, endMs: at, stepMs: 0 });
  return [...instants, ...texts];
}

function expressions(text: string): string[] {
  let expr: Expr;
  try {
    expr = parseQuery(text);
  } catch {
    return [];
  }
  const smaller = variants(expr).map(printExpr);
  return [...new Set(smaller)]
    .filter((each) => each.length < printExpr(expr).length)
    .sort((a, b) => a.length - b.length);
}

/** The expression with one of its parts in the place of what holds it. */
function variants(expr: Expr): Expr[] {
  return Object.entries(expr).flatMap(([key, value]: [string, unknown]) => {
    if (isExpr(value)) return [value, ...variants(value).map((each) => ({ ...expr, [key]: each }) as Expr)];
    if (!Array.isArray(value) || !value.every(isExpr)) return [];
    return value.flatMap((item, index) => [
      item,
      ...variants(item).map((each) => ({ ...expr, [key]: value.with(index, each) }) as Expr),
    ]);
  });
}

function isExpr(value: unknown): value is Expr {
  return typeof value === "object" && value !== null && "kind" in value && "pos" in value;
}
