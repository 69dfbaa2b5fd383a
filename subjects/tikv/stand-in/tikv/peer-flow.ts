/** What was read and written since PD was told last. */
export interface Flow {
  readonly bytesWritten: number;
  readonly keysWritten: number;
  readonly bytesRead: number;
  readonly keysRead: number;
  /** Requests by kind, under the names of `pdpb.QueryStats`. */
  readonly queries: Readonly<Record<QueryKind, number>>;
}

export const QUERY_KINDS = ["Get", "Scan", "Put", "Delete", "DeleteRange"] as const;

export type QueryKind = (typeof QUERY_KINDS)[number];

const NO_QUERIES = { Get: 0, Scan: 0, Put: 0, Delete: 0, DeleteRange: 0 };

/** Counts what flows through a region, and for others who want to know as well (their store). */
export class FlowMeter {
  readonly #others: readonly FlowMeter[];
  #bytesWritten = 0;
  #keysWritten = 0;
  #bytesRead = 0;
  #keysRead = 0;
  #queries: Record<QueryKind, number> = { ...NO_QUERIES };

  constructor(...others: readonly FlowMeter[]) {
    this.#others = others;
  }

  wrote(bytes: number, keys: number): void {
    this.#bytesWritten += bytes;
    this.#keysWritten += keys;
    for (const other of this.#others) other.wrote(bytes, keys);
  }

  read(bytes: number): void {
    this.#bytesRead += bytes;
    this.#keysRead++;
    for (const other of this.#others) other.read(bytes);
  }

  asked(kind: QueryKind, times: number): void {
    this.#queries[kind] += times;
    for (const other of this.#others) other.asked(kind, times);
  }

  /** What was counted since the last call. */
  take(): Flow {
    const flow = {
      bytesWritten: this.#bytesWritten,
      keysWritten: this.#keysWritten,
      bytesRead: this.#bytesRead,
      keysRead: this.#keysRead,
      queries: this.#queries,
    };
    this.#bytesWritten = this.#keysWritten = this.#bytesRead = this.#keysRead = 0;
    this.#queries = { ...NO_QUERIES };
    return flow;
  }
}

/** `pdpb.QueryStats` as the loader wants it. */
export function toQueryStats(queries: Flow["queries"]): Record<QueryKind, string> {
  const text = (kind: QueryKind): string => String(queries[kind]);
  return {
    Get: text("Get"),
    Scan: text("Scan"),
    Put: text("Put"),
    Delete: text("Delete"),
    DeleteRange: text("DeleteRange"),
  };
}
