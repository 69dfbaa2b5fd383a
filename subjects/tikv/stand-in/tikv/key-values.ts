import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";

/**
 * The pairs of one region: a map for point reads, and its keys in order for scans. Values are kept as strings of one
 * character a byte, like keys: a small Buffer of its own takes 400 bytes besides what it holds, a string 16.
 */
export class KeyValues {
  readonly #values = new Map<string, string>();
  #keys: string[] = [];
  #bytes = 0;

  get size(): number {
    return this.#values.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Buffer | undefined {
    const value = this.#values.get(key);
    return value === undefined ? undefined : Buffer.from(value, "latin1");
  }

  put(key: string, value: Buffer): void {
    const before = this.#values.get(key);
    if (before === undefined) this.#keys.splice(this.#position(key), 0, key);
    this.#bytes += value.length - (before?.length ?? 0) + (before === undefined ? key.length : 0);
    this.#values.set(key, value.toString("latin1"));
  }

  delete(key: string): void {
    const before = this.#values.get(key);
    if (before === undefined) return;
    this.#values.delete(key);
    this.#keys.splice(this.#position(key), 1);
    this.#bytes -= key.length + before.length;
  }

  /** Keys from `start` up to, not including, `end` ("" = no end), in order. */
  keys(start: string, end: string): string[] {
    return this.#keys.slice(this.#position(start), end === "" ? undefined : this.#position(end));
  }

  deleteRange(start: string, end: string): void {
    for (const key of this.keys(start, end)) this.delete(key);
  }

  /** Takes a range away, as a region that is split off takes it. */
  split(start: string, end: string): KeyValues {
    const part = new KeyValues();
    for (const key of this.keys(start, end)) part.#append(key, this.#values.get(key) ?? "");
    this.deleteRange(start, end);
    return part;
  }

  /** Takes over all pairs of `other`, which lie on one side of its own. */
  absorb(other: KeyValues): void {
    const first = (other.#keys[0] ?? "") < (this.#keys[0] ?? "");
    this.#keys = first ? [...other.#keys, ...this.#keys] : [...this.#keys, ...other.#keys];
    for (const [key, value] of other.#values) this.#values.set(key, value);
    this.#bytes += other.#bytes;
  }

  write(writer: ByteWriter): void {
    writer.u32(this.#keys.length);
    for (const key of this.#keys) writer.latin1(key).latin1(this.#values.get(key) ?? "");
  }

  static read(reader: ByteReader): KeyValues {
    const all = new KeyValues();
    for (let left = reader.u32(); left > 0; left--) all.#append(reader.latin1(), reader.latin1());
    return all;
  }

  /** For keys that come in order. */
  #append(key: string, value: string): void {
    this.#keys.push(key);
    this.#values.set(key, value);
    this.#bytes += key.length + value.length;
  }

  /** Where the key stands or would stand. */
  #position(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
