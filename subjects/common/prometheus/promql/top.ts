import { formatGeneral } from "../go-format.ts";
import { QueryError } from "./errors.ts";
import { max } from "./go-math.ts";
import { emptySeries, type Grid, type StepSeries } from "./grid.ts";

interface Entry {
  readonly value: number;
  readonly series: StepSeries;
}

const MAX_INT64 = 9_223_372_036_854_774_784;

/**
 * `topk` and `bottomk`: at every instant the k largest (smallest) of each group, kept in a heap, so that among equals the
 * same are chosen as by promql/engine.go (`aggregationK`). At a single instant the result is in order.
 */
export function extremes(
  groups: readonly (readonly StepSeries[])[],
  params: Float64Array,
  { largest, seriesCount }: { readonly largest: boolean; readonly seriesCount: number },
  grid: Grid,
): readonly StepSeries[] {
  // As Go's `math.Max`, undefined when any of them is.
  if (params.reduce((most, param) => max(most, param), -Infinity) < 1) return [];
  const results = new Map<StepSeries, StepSeries>();
  for (let step = 0; step < grid.count; step++) {
    const param = params[step] as number;
    if (!groups.some((members) => members.some(({ present }) => present[step] === 1))) continue;
    if (!(Math.abs(param) <= MAX_INT64))
      throw new QueryError("execution", `Scalar value ${formatGeneral(param)} overflows int64`);
    const k = Math.min(Math.trunc(param), seriesCount);
    if (k < 1) continue;
    for (const members of groups)
      for (const { value, series } of chosen(members, k, largest, step)) {
        const result = results.get(series) ?? emptySeries(series.labels, grid);
        results.set(series, result);
        result.present[step] = 1;
        result.values[step] = value;
      }
  }
  return [...results.values()];
}

function chosen(members: readonly StepSeries[], k: number, largest: boolean, step: number): Entry[] {
  const heap: Entry[] = [];
  // What leaves the heap first: the undefined ones, then the smallest (largest).
  const less = (a: Entry, b: Entry) => Number.isNaN(a.value) || (largest ? a.value < b.value : a.value > b.value);
  for (const series of members) {
    if (series.present[step] === 0) continue;
    const entry = { value: series.values[step] as number, series };
    const [top] = heap;
    if (heap.length < k) {
      heap.push(entry);
      up(heap, heap.length - 1, less);
    } else if (top !== undefined && better(entry.value, top.value, largest)) {
      heap[0] = entry;
      down(heap, less);
    }
  }
  return heap.sort((a, b) => (less(b, a) ? -1 : less(a, b) ? 1 : 0));
}

function better(value: number, than: number, largest: boolean): boolean {
  return (largest ? value > than : value < than) || (Number.isNaN(than) && !Number.isNaN(value));
}

/** Go's `container/heap`. */
function up(heap: Entry[], from: number, less: (a: Entry, b: Entry) => boolean): void {
  for (let index = from; index > 0;) {
    const parent = (index - 1) >> 1;
    if (!less(heap[index] as Entry, heap[parent] as Entry)) return;
    swap(heap, index, parent);
    index = parent;
  }
}

function down(heap: Entry[], less: (a: Entry, b: Entry) => boolean): void {
  for (let index = 0; ;) {
    let child = 2 * index + 1;
    if (child >= heap.length) return;
    if (child + 1 < heap.length && less(heap[child + 1] as Entry, heap[child] as Entry)) child++;
    if (!less(heap[child] as Entry, heap[index] as Entry)) return;
    swap(heap, index, child);
    index = child;
  }
}

function swap(heap: Entry[], a: number, b: number): void {
  [heap[a], heap[b]] = [heap[b] as Entry, heap[a] as Entry];
}
