import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEmbedded, type TestCluster } from "../support/embedded-cluster.ts";
import { describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";
import { figures, goYcsb } from "../support/go-ycsb.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;

describeGo("go-ycsb on the embedded cluster", () => {
  const scope = new AsyncDisposableStack();
  let cluster: TestCluster;
  let program: string;

  beforeAll(async () => {
    cluster = scope.use(await startEmbedded({ timeFactor: 0.2 }, signal));
    program = await goYcsb(cluster.folder);
  }, GO_BUILD_TIMEOUT_MS + 60_000);
  afterAll(async () => await scope.disposeAsync());

  test("loads its records, then reads, updates, inserts and scans them, without an error", async ({ annotate }) => {
    const pd = `tikv.pd=${cluster.pdEndpoints.join()}`;
    const common = ["-p", pd, "-p", "tikv.type=raw", "-p", "workload=core", "--threads", "4"];
    const go = async (part: string, ...more: readonly string[]) => {
      const set = more.flatMap((property) => ["-p", property]);
      const { stdout } = await run(program, [part, "tikv", ...common, ...set, "-p", "silence=false"], {
        timeout: 60_000,
      });
      await annotate(
        stdout
          .split("\n")
          .filter((line) => line.includes("Takes(s)"))
          .join("\n"),
      );
      return figures(stdout);
    };

    const loaded = await go("load", "recordcount=400");
    expect([...loaded.keys()].toSorted()).toEqual(["INSERT", "TOTAL"]);
    expect(loaded.get("INSERT")?.["Count"]).toBe(400);

    const mix = { readproportion: 0.4, updateproportion: 0.4, insertproportion: 0.1, scanproportion: 0.1 };
    const ran = await go(
      "run",
      "recordcount=400",
      "operationcount=800",
      ...Object.entries(mix).map(([name, share]) => `${name}=${share}`),
    );
    expect([...ran.keys()].toSorted()).toEqual(["INSERT", "READ", "SCAN", "TOTAL", "UPDATE"]);
    expect(ran.get("TOTAL")?.["Count"]).toBe(800);
  });
});
