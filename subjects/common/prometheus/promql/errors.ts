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

/** Part of the language, but not of this implementation. */
export function notImplemented(what: string): QueryError {
  return new QueryError("execution", `not implemented: ${what}`);
}
