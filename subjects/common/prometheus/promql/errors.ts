/** As in Prometheus' API: what kind of failure a query ended with. */
export type QueryErrorType = "bad_data" | "execution" | "timeout" | "canceled";

export class QueryError extends Error {
  readonly type: QueryErrorType;
  constructor(type: QueryErrorType, message: string) {
    super(message);
    this.name = "QueryError";
    this.type = type;
  }
}

/** Offsets into a query's text. */
export interface Position {
  readonly start: number;
  readonly end: number;
}

/** `line:column: parse error: …`, columns counted in bytes as Prometheus does. */
export function parseError(text: string, { start }: Position, what: string): QueryError {
  const before = text.slice(0, start).split("\n");
  const column = Buffer.byteLength(before.at(-1) ?? "") + 1;
  const where = text === "" ? "unknown position" : `${before.length}:${column}`;
  return new QueryError("bad_data", `${where}: parse error: ${what}`);
}
