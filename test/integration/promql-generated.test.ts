import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../../harness/base/random.ts";
import { QueryError } from "../../subjects/common/prometheus/promql/errors.ts";
import { parseQuery } from "../../subjects/common/prometheus/promql/parse.ts";
import { prettyExpr, printExpr } from "../../subjects/common/prometheus/promql/print.ts";
import { Storage } from "../../subjects/common/prometheus/storage.ts";
import { buildGo, describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";
import { difference, ourAnswer, store, type Answer } from "../support/promql/answer.ts";
import { dataset, openMetrics } from "../support/promql/dataset.ts";
import { knownDifferences } from "../support/promql/differences-2.42.ts";
import { Generator, type GeneratedQuery } from "../support/promql/generate.ts";
import { startRealEngine, type RealEngine } from "../support/promql/real-engine.ts";
import { noPrometheus, startRealPrometheus, type RealPrometheus } from "../support/promql/real-prometheus.ts";
import { shrink } from "../support/promql/shrink.ts";

const ENGINE_QUERIES = 15_000;
const DEBIAN_QUERIES = 8_000;
const PARSED_TEXTS = 5_000;
const MINUTES = 60_000;
/** Of a value's size: powers and trigonometry are calculated differently everywhere. */
const TOLERANCE = 1e-12;

interface Real {
  answer(query: GeneratedQuery): Promise<Answer>;
}
interface Comparison {
  readonly generator: Generator;
  readonly count: number;
  readonly real: Real;
  readonly storage: Storage;
  readonly differs: (query: GeneratedQuery, mine: Answer, theirs: Answer) => string | null;
  readonly excluded: (query: GeneratedQuery) => string | null;
}

/** The first few queries that differ, shrunk; and how many there were of what. */
async function compare({ generator, count, real, storage, differs, excluded }: Comparison) {
  const exclusions = new Map<string, number>();
  const failures: string[] = [];
  let [compared, refused, empty] = [0, 0, 0];
  const differenceOf = async (query: GeneratedQuery) =>
    differs(query, await ourAnswer(storage, query), await real.answer(query));
  while (compared < count && failures.length < 5) {
    const query = generator.query();
    const why = excluded(query);
    if (why !== null) {
      exclusions.set(why, (exclusions.get(why) ?? 0) + 1);
      continue;
    }
    compared++;
    const [mine, theirs] = [await ourAnswer(storage, query), await real.answer(query)];
    if (theirs.error !== undefined) refused++;
    else if (theirs.series.length === 0) empty++;
    if (differs(query, mine, theirs) === null) continue;
    const small = await shrink(query, async (each) => excluded(each) === null && (await differenceOf(each)) !== null);
    failures.push(`${JSON.stringify(small)}\n${await differenceOf(small)}`);
  }
  return { compared, refused, empty, exclusions, failures };
}

describeGo("PromQL beside the engine of Prometheus 3.5", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "promql-engine-"));
  let engine: RealEngine;

  beforeAll(async () => {
    engine = startRealEngine(await buildGo("promql-engine", folder));
  }, GO_BUILD_TIMEOUT_MS);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test(
    `${ENGINE_QUERIES} generated queries: same series, points, values and kinds of error`,
    { timeout: 5 * MINUTES },
    async () => {
      const data = dataset(seededRandom("engine data"), { jitterMs: 0, markers: true });
      await engine.load(data);
      const result = await compare({
        generator: new Generator(seededRandom("engine queries"), { besideMs: 0 }),
        count: ENGINE_QUERIES,
        real: engine,
        storage: store(unbounded(), data),
        differs: ({ text }, mine, theirs) => difference(mine, theirs, { text, tolerance: TOLERANCE }),
        excluded: () => null,
      });
      console.log(`3.5: ${result.compared} queries, ${result.refused} refused by both, ${result.empty} without series`);
      expect(result.failures).toEqual([]);
      expect(result.refused).toBeGreaterThan(ENGINE_QUERIES / 50);
      expect(result.empty).toBeLessThan(ENGINE_QUERIES / 2);
    },
  );

  test(
    `${PARSED_TEXTS} mutilated texts: both parse, printed alike, or both refuse, in the same words`,
    { timeout: 5 * MINUTES },
    async () => {
      const random = seededRandom("texts");
      const generator = new Generator(random, { besideMs: 0 });
      let [refused, otherWords] = [0, 0];
      for (let n = 0; n < PARSED_TEXTS; n++) {
        const text = mutilated(generator.query().text, random);
        const [mine, theirs] = [parsed(text), await engine.parse(text)];
        expect([mine.text, mine.pretty], text).toEqual([theirs.text, theirs.pretty]);
        if (theirs.error === undefined) continue;
        refused++;
        if (mine.error !== theirs.error) otherWords++;
      }
      console.log(`3.5: ${PARSED_TEXTS} texts, ${refused} refused by both, ${otherWords} of them in other words`);
      expect(refused).toBeGreaterThan(PARSED_TEXTS / 3);
      expect(otherWords).toBeLessThan(refused / 50);
    },
  );
});

const reason = "Debian's prometheus package is not installed";
if (noPrometheus && process.env["CI"] !== undefined) throw new Error(reason);

describe.skipIf(noPrometheus)(`PromQL beside Debian's Prometheus${noPrometheus ? ` (${reason})` : ""}`, () => {
  let real: RealPrometheus;
  const data = dataset(seededRandom("debian data"), { jitterMs: 400, markers: false });

  beforeAll(async () => {
    real = await startRealPrometheus({ openMetrics: openMetrics(data) });
  }, MINUTES);
  afterAll(() => real[Symbol.asyncDispose]());

  test(
    `${DEBIAN_QUERIES} generated queries over the same blocks: same series, points, values and kinds of error`,
    { timeout: 5 * MINUTES },
    async () => {
      const result = await compare({
        generator: new Generator(seededRandom("debian queries"), { besideMs: 500 }),
        count: DEBIAN_QUERIES,
        real,
        storage: store(unbounded(), data),
        // Sums were not compensated then (2.53 to 2.55): what cancels out leaves a little.
        differs: ({ text }, mine, theirs) =>
          difference(mine, theirs, { text, tolerance: TOLERANCE, absolute: /sum|avg|std/.test(text) ? 1e-12 : 0 }),
        excluded: (query) => {
          const known = knownDifferences.find((each) => each.applies(query));
          return known === undefined ? null : `${known.what} (${known.since})`;
        },
      });
      console.log(
        `2.42: ${result.compared} queries, ${result.refused} refused by both, ${result.empty} without series; left out:`,
      );
      for (const [why, count] of result.exclusions) console.log(`  ${count} ${why}`);
      expect(result.failures).toEqual([]);
      expect(result.refused).toBeGreaterThan(DEBIAN_QUERIES / 50);
      expect(result.empty).toBeLessThan(DEBIAN_QUERIES / 2);
    },
  );
});

function unbounded(): Storage {
  return new Storage({ retentionMs: Infinity, maxBytes: Infinity });
}

function parsed(text: string): { readonly text?: string; readonly pretty?: string; readonly error?: string } {
  try {
    const expr = parseQuery(text);
    return { text: printExpr(expr), pretty: prettyExpr(expr) };
  } catch (error) {
    if (error instanceof QueryError) return { error: error.message };
    throw error;
  }
}

const BITS = [
  ...[
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "@",
    "=",
    "==",
    "=~",
    "!",
    "+",
    "-",
    " ",
    "'",
    '"x"',
    "#",
    "é",
    "\n",
    "$",
  ],
  ...["by", "on", "offset", "5m", "1", "foo", "sum", "bool", "and", "ignoring", "group_left", "without", "start()"],
  ...["rate", "0x", "1e", ".", "topk", "limitk", "_", "Inf", "1h5m", "^", "%", "NaN", "\\"],
];

/** With up to two pieces put in or taken out. */
function mutilated(text: string, random: ReturnType<typeof seededRandom>): string {
  for (let times = random.int(3); times > 0; times--) {
    const at = random.int(text.length + 1);
    const rest = text.slice(at);
    text = text.slice(0, at) + (random.int(2) === 0 ? random.pick(BITS) + rest : rest.slice(1 + random.int(4)));
  }
  return text === "" ? "up" : text;
}
