import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "vitest";
import { Storage } from "../../subjects/common/prometheus/storage.ts";
import { describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";
import { difference, ourAnswer, store, type Answer } from "../support/promql/answer.ts";
import { parseScript, type Evaluation, type ScriptSeries } from "../support/promql/script.ts";

/** As promql/promqltest compares. */
const TOLERANCE = 2e-6;

/** What those tests switch on and 3.5 has off: the metric's name is dropped at the end only, `__type__` and `__unit__`. */
const FEATURE_FLAGS: ReadonlySet<string> = new Set([
  ...[51, 56, 61, 66, 80].map((line) => `name_label_dropping.test:${line}`),
  ...[77, 92, 222, 237].map((line) => `type_and_unit.test:${line}`),
]);

/**
 * Prometheus' own query tests (prometheus/prometheus, promql/promqltest/testdata, Apache-2.0), as they come with the Go
 * module that `test/tools/promql-engine` is built of.
 */
describeGo("Prometheus' own query tests", () => {
  let folder: string;

  beforeAll(() => {
    const cwd = path.join(import.meta.dirname, "../tools/promql-engine");
    execFileSync("go", ["mod", "download", MODULE], { cwd });
    const found = execFileSync("go", ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", MODULE], {
      cwd,
      encoding: "utf8",
    });
    folder = path.join(found.trim(), "promql/promqltest/testdata");
  }, GO_BUILD_TIMEOUT_MS);

  test("every evaluation of floats gives what is expected there", async () => {
    const failures: string[] = [];
    const counts = { passed: 0, "native histograms": 0, "experimental, refused by name": 0, "behind feature flags": 0 };
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".test"))) {
      let [storage, native] = [empty(), new Set<string>()];
      for (const command of parseScript(readFileSync(path.join(folder, file), "utf8"))) {
        if (command.kind === "clear") [storage, native] = [empty(), new Set()];
        else if (command.kind === "load") {
          load(storage, command.series, command.stepMs);
          command.native.forEach((name) => native.add(name));
        } else {
          const where = `${file}:${command.line}`;
          const answer = await ourAnswer(storage, command);
          const why = mismatch(answer, command);
          if (why === null) counts.passed++;
          else if (/experimental|is not enabled/.test(answer.error?.message ?? ""))
            counts["experimental, refused by name"]++;
          else if (FEATURE_FLAGS.has(where)) counts["behind feature flags"]++;
          else if (command.native || mentions(command.text, native)) counts["native histograms"]++;
          else failures.push(`${where} ${command.text}\n  ${why}`);
        }
      }
    }
    console.log(`Prometheus' own query tests: ${JSON.stringify(counts)}`);
    expect(failures).toEqual([]);
    expect(counts.passed).toBeGreaterThan(700);
    expect(counts["behind feature flags"]).toBe(FEATURE_FLAGS.size);
  });
});

const MODULE = "github.com/prometheus/prometheus";

function empty(): Storage {
  return new Storage({ retentionMs: Infinity, maxBytes: Infinity });
}

function load(storage: Storage, series: readonly ScriptSeries[], stepMs: number): void {
  const data = series.map(({ labels, values }) => {
    const there = values.flatMap((value, index) => (value === null ? [] : [[index * stepMs, value] as const]));
    return { labels, times: there.map(([timeMs]) => timeMs), values: there.map(([, value]) => value) };
  });
  store(storage, data);
}

/** Whether a query is about a metric that has native histograms, which are not stored. */
function mentions(text: string, names: ReadonlySet<string>): boolean {
  return [...names].some((name) => text.includes(name)) || (names.size > 0 && /__name__|(^|[\s(,])\{/.test(text));
}

function mismatch(
  answer: Answer,
  { text, startMs, stepMs, fails, ordered, expected, native }: Evaluation,
): string | null {
  if (native) return "native histograms";
  if (fails) return answer.error === undefined ? "it has to be refused" : null;
  const scalar = expected.find((each) => "scalar" in each);
  const string = expected.find((each) => "string" in each);
  const series = expected.flatMap((each) => ("labels" in each ? [each] : []));
  const wanted: Answer = {
    type: scalar === undefined ? (string === undefined ? answer.type : "string") : answer.type,
    ...(string === undefined ? {} : { text: string.string }),
    series: [
      ...(scalar === undefined ? [] : [{ labels: {}, points: [[startMs, scalar.scalar] as const] }]),
      ...series.map(({ labels, values }) => ({
        labels,
        points: values.flatMap((value, index) =>
          typeof value === "number" ? [[startMs + index * stepMs, value] as const] : [],
        ),
      })),
    ],
  };
  const different = difference(answer, wanted, { text, tolerance: TOLERANCE, absolute: 1e-300 });
  if (different !== null || !ordered) return different;
  const order = (of: Answer) => JSON.stringify(of.series.map(({ labels }) => Object.entries(labels).sort()));
  return order(answer) === order(wanted) ? null : "in another order";
}
