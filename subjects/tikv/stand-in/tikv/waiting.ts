import type { RegionError } from "./region-errors.ts";
import type { WriteResult } from "./peer-host.ts";

interface Proposal {
  readonly term: number;
  readonly sinceMs: number;
  settle(result: WriteResult): void;
}

/** Whoever waits for an entry of the log to be applied, by its index. */
export class WaitingProposals {
  readonly #waiting = new Map<number, Proposal>();

  get size(): number {
    return this.#waiting.size;
  }

  /** When the oldest one was proposed; null = nobody waits. */
  get oldestSinceMs(): number | null {
    for (const { sinceMs } of this.#waiting.values()) return sinceMs;
    return null;
  }

  add(at: { readonly index: number; readonly term: number }, sinceMs: number): Promise<WriteResult> {
    return new Promise((settle) => {
      this.#waiting.set(at.index, { term: at.term, sinceMs, settle });
    });
  }

  /** When this entry was proposed here; null = it was not. */
  proposedAt(index: number, term: number): number | null {
    const proposal = this.#waiting.get(index);
    return proposal?.term === term ? proposal.sinceMs : null;
  }

  settle(index: number, term: number, result: WriteResult, otherwise: RegionError): void {
    const proposal = this.#waiting.get(index);
    if (proposal === undefined) return;
    this.#waiting.delete(index);
    proposal.settle(proposal.term === term ? result : { ok: false, error: otherwise });
  }

  failAll(error: RegionError): void {
    for (const { settle } of this.#waiting.values()) settle({ ok: false, error });
    this.#waiting.clear();
  }
}

interface WaitingRead {
  /** Null = not known yet. */
  index: number | null;
  settle(error: RegionError | null): void;
}

/** Reads that wait until they know an index, and then until it has been applied. */
export class WaitingReads {
  readonly #waiting = new Map<number, WaitingRead>();
  #next = 1;

  /** Contexts of those that know no index yet. */
  get unknown(): number[] {
    return [...this.#waiting].flatMap(([context, { index }]) => (index === null ? [context] : []));
  }

  add(): { readonly context: number; readonly done: Promise<RegionError | null> } {
    const context = this.#next++;
    const done = new Promise<RegionError | null>((settle) => {
      this.#waiting.set(context, { index: null, settle });
    });
    return { context, done };
  }

  known(context: number, index: number): void {
    const read = this.#waiting.get(context);
    if (read !== undefined) read.index = index;
  }

  serve(appliedIndex: number): void {
    for (const [context, { index, settle }] of this.#waiting) {
      if (index === null || index > appliedIndex) continue;
      this.#waiting.delete(context);
      settle(null);
    }
  }

  failAll(error: RegionError): void {
    for (const { settle } of this.#waiting.values()) settle(error);
    this.#waiting.clear();
  }
}
