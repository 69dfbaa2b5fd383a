import { open, readFile } from "node:fs/promises";
import { z } from "zod";
import { StoreError } from "../base/errors.ts";
import { isoTime } from "../base/clock.ts";
import type { Clock, Component, FaultSpec, Ids } from "../protocol.ts";

const line = z.strictObject({
  id: z.string(),
  at: z.string(),
  what: z.enum(["intent", "injected", "healed"]),
  kind: z.string(),
  target: z.string().transform((name) => name as Component),
  params: z.record(z.string(), z.number()),
});

export interface JournalEntry {
  readonly id: string;
  readonly spec: FaultSpec;
}

/**
 * What was, or may have been, done to an instance: an append-only file beside its owner's lock, each line on disk
 * before the act that it announces. A line that a crash cut announces nothing that was done: the act waits for the line.
 */
export class InjectionJournal {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(path: string, { clock, ids }: { clock: Clock; ids: Ids }) {
    this.#path = path;
    this.#clock = clock;
    this.#ids = ids;
  }

  /** Resolves when the intent is on disk; only then may the fault be injected. */
  async intend(spec: FaultSpec): Promise<JournalEntry> {
    const entry = { id: this.#ids.hex(6), spec };
    await this.#append(entry, "intent");
    return entry;
  }

  injected(entry: JournalEntry): Promise<void> {
    return this.#append(entry, "injected");
  }

  healed(entry: JournalEntry): Promise<void> {
    return this.#append(entry, "healed");
  }

  /** Everything announced and not yet healed, newest first: the order in which to heal. */
  async pending(): Promise<readonly JournalEntry[]> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw new StoreError(`cannot read the injection journal ${this.#path}`, { cause: error });
    }
    const open = new Map<string, JournalEntry>();
    for (const [index, raw] of text.split("\n").entries()) {
      const value = parseWhole(raw);
      if (value === undefined) continue;
      const parsed = line.safeParse(value);
      if (!parsed.success)
        throw new StoreError(
          `injection journal ${this.#path}, line ${index + 1}: ${z.prettifyError(parsed.error)}; heal by hand, then remove the file`,
        );
      const { id, what, kind, target, params } = parsed.data;
      if (what === "healed") open.delete(id);
      else open.set(id, { id, spec: { kind, target, params } });
    }
    return [...open.values()].reverse();
  }

  async #append({ id, spec }: JournalEntry, what: "intent" | "injected" | "healed"): Promise<void> {
    try {
      await using file = await open(this.#path, "a", 0o600);
      // The line break comes first too, so that a cut line before it stays alone.
      await file.appendFile(`\n${JSON.stringify({ id, at: isoTime(this.#clock.now()), what, ...spec })}\n`);
      await file.datasync();
    } catch (error) {
      throw new StoreError(`cannot write the injection journal ${this.#path}; nothing was done`, { cause: error });
    }
  }
}

function parseWhole(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}
