import type { ProfileNode } from "./flame-graph.ts";

/** Of what a profile was made. */
export interface ProfileTimes {
  readonly periodNs: number;
  readonly durationNs: number;
}

/**
 * The samples as pprof's `perftools.profiles.Profile` (google/pprof:proto/profile.proto): each with its chain of
 * callers, function names only.
 */
export function pprof(nodes: readonly ProfileNode[], samples: readonly number[], times: ProfileTimes): Buffer {
  const strings = new Map([["", 0]]);
  const text = (value: string): number => {
    const known = strings.get(value);
    if (known !== undefined) return known;
    strings.set(value, strings.size);
    return strings.size - 1;
  };
  const [samplesType, cpuType] = [
    valueType(text("samples"), text("count")),
    valueType(text("cpu"), text("nanoseconds")),
  ];
  const parts = [field(1, samplesType), field(1, cpuType)];
  const callers = new Map(nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id] as const)));
  for (const [id, count] of counted(samples)) {
    const chain: number[] = [];
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at)) chain.push(at);
    const values = [count, count * times.periodNs];
    parts.push(field(2, Buffer.concat([field(1, packed(chain)), field(2, packed(values))])));
  }
  const functions = new Map<string, number>();
  for (const { id, callFrame } of nodes) {
    const name = callFrame.functionName || "(anonymous)";
    if (!functions.has(name)) functions.set(name, functions.size + 1);
    const line = number(1, functions.get(name) ?? 0);
    parts.push(field(4, Buffer.concat([number(1, id), field(4, line)])));
  }
  for (const [name, id] of functions)
    parts.push(field(5, Buffer.concat([number(1, id), number(2, text(name)), number(3, text(name))])));
  const period = [number(10, times.durationNs), field(11, cpuType), number(12, times.periodNs)];
  const table = [...strings.keys()].map((value) => field(6, Buffer.from(value)));
  return Buffer.concat([...parts, ...table, ...period]);
}

function counted(samples: readonly number[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const id of samples) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

function valueType(type: number, unit: number): Buffer {
  return Buffer.concat([number(1, type), number(2, unit)]);
}

/** Protocol buffers' wire format: a length-delimited field, a number, numbers in a row. */
function field(tag: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((tag << 3) | 2), varint(bytes.length), bytes]);
}

function number(tag: number, value: number): Buffer {
  return Buffer.concat([varint(tag << 3), varint(value)]);
}

function packed(values: readonly number[]): Buffer {
  return Buffer.concat(values.map(varint));
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) | 128);
  }
}
