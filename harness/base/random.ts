/** The only source of chance. Seeded, so that a trial can be run again; the seed is part of its record. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, below). */
  int(below: number): number;
  /** @throws RangeError on an empty list. */
  pick<T>(items: readonly T[]): T;
  /** An independent stream for one purpose: what one part draws never shifts what another part draws. */
  fork(purpose: string): Random;
}

/** xoshiro-class generators are overkill here; sfc32 passes PractRand and is ten lines (Chris Doty-Humphrey, 2010). `key` is the seed. */
export function seededRandom(key: number | string): Random {
  let [a, b, c] = [hash(`${key}/a`), hash(`${key}/b`), hash(`${key}/c`)];
  let counter = 1;
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return (t >>> 0) / 4294967296;
  };
  for (let round = 0; round < 12; round++) next();
  const int = (below: number): number => Math.floor(next() * below);
  return {
    next,
    int,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError("nothing to pick from");
      return items[int(items.length)] as T;
    },
    fork: (purpose) => seededRandom(`${key}/${purpose}`),
  };
}

/** FNV-1a, 32 bit: spreads short text seeds; not a cryptographic hash. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return value | 0;
}
