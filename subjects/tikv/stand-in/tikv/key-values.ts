import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";

/**
 * The pairs of one region, in the order of their keys. Values are kept as strings of one character a byte, like keys: a
 * small Buffer of its own takes 400 bytes besides what it holds, a string 16. Two arrays and no map: that would be 60
 * bytes a pair more, and a key is found in a microsecond as it is.
 */
export class KeyValues {
  #keys: string[] = [];
  /** At the places of their keys. */
  #values: string[] = [];
  #bytes = 0;

  get size(): number {
    return this.#keys.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Buffer | undefined {
    const at = this.#position(key);
    return this.#keys[at] === key ? Buffer.from(this.#values[at] as string, "latin1") : undefined;
  }

  put(key: string, value: Buffer): void {
    const at = this.#position(key);
    const text = value.toString("latin1");
    if (this.#keys[at] === key) {
      this.#bytes += text.length - (this.#values[at] as string).length;
      this.#values[at] = text;
      return;
    }
    this.#keys.splice(at, 0, key);
    this.#values.splice(at, 0, text);
    this.#bytes += key.length + text.length;
  }

  delete(key: string): void {
    const at = this.#position(key);
    if (this.#keys[at] === key) this.#cut(at, at + 1);
  }

  /** Keys from `start` up to, not including, `end` ("" = no end), in order. */
  keys(start: string, end: string): string[] {
    return this.#keys.slice(...this.#between(start, end));
  }

  deleteRange(start: string, end: string): void {
    this.#cut(...this.#between(start, end));
  }

  /** Takes a range away, as a region that is split off takes it. */
  split(start: string, end: string): KeyValues {
    const part = new KeyValues();
    const cut = this.#cut(...this.#between(start, end));
    part.#keys = cut.keys;
    part.#values = cut.values;
    part.#bytes = cut.bytes;
    return part;
  }

  /** Takes over all pairs of `other`, which lie on one side of its own. */
  absorb(other: KeyValues): void {
    const first = (other.#keys[0] ?? "") < (this.#keys[0] ?? "");
    const [low, high] = first ? [other, this] : [this, other];
    this.#keys = low.#keys.concat(high.#keys);
    this.#values = low.#values.concat(high.#values);
    this.#bytes += other.#bytes;
  }

  write(writer: ByteWriter): void {
    writer.u32(this.#keys.length);
    for (const [at, key] of this.#keys.entries()) writer.latin1(key).latin1(this.#values[at] as string);
  }

  static read(reader: ByteReader): KeyValues {
    const all = new KeyValues();
    for (let left = reader.u32(); left > 0; left--) {
      const key = reader.latin1();
      const value = reader.latin1();
      all.#keys.push(key);
      all.#values.push(value);
      all.#bytes += key.length + value.length;
    }
    return all;
  }

  #cut(from: number, to: number): { readonly keys: string[]; readonly values: string[]; readonly bytes: number } {
    const [keys, values] = [this.#keys.splice(from, to - from), this.#values.splice(from, to - from)];
    let bytes = 0;
    for (const text of keys) bytes += text.length;
    for (const text of values) bytes += text.length;
    this.#bytes -= bytes;
    return { keys, values, bytes };
  }

  #between(start: string, end: string): [from: number, to: number] {
    const from = this.#position(start);
    return [from, end === "" ? this.#keys.length : Math.max(from, this.#position(end))];
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
