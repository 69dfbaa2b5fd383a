import type { ByteReader, ByteWriter } from "../../../common/raft/index.ts";
import { KeyValues } from "./key-values.ts";

/** Column families that raw requests may name in API V1 (tikv/tikv:src/storage/mod.rs, `rawkv_cf`). */
export const FAMILIES = ["default", "lock", "write"] as const;

export type Family = (typeof FAMILIES)[number];

/** All pairs of one region, by column family. */
export class Families {
  readonly #all: Readonly<Record<Family, KeyValues>>;

  constructor(all = { default: new KeyValues(), lock: new KeyValues(), write: new KeyValues() }) {
    this.#all = all;
  }

  of(family: Family): KeyValues {
    return this.#all[family];
  }

  get size(): number {
    return FAMILIES.reduce((sum, family) => sum + this.#all[family].size, 0);
  }

  get bytes(): number {
    return FAMILIES.reduce((sum, family) => sum + this.#all[family].bytes, 0);
  }

  /** Takes a range away, as a region that is split off takes it. */
  split(start: string, end: string): Families {
    const part = (family: Family): KeyValues => this.#all[family].split(start, end);
    return new Families({ default: part("default"), lock: part("lock"), write: part("write") });
  }

  /** Takes over the pairs of a neighbour, all of which lie on one side of its own. */
  absorb(neighbour: Families): void {
    for (const family of FAMILIES) this.#all[family].absorb(neighbour.of(family));
  }

  write(writer: ByteWriter): void {
    for (const family of FAMILIES) this.#all[family].write(writer);
  }

  static read(reader: ByteReader): Families {
    const [values, lock, write] = [KeyValues.read(reader), KeyValues.read(reader), KeyValues.read(reader)];
    return new Families({ default: values, lock, write });
  }
}
