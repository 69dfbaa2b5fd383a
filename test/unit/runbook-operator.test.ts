import { describe, expect, test } from "vitest";
import type { ContainerState, SubmittedDiagnosis } from "../../harness/protocol.ts";
import { loadRunbooks } from "../../harness/agent/operators/runbook/load.ts";
import { runbook } from "../../harness/agent/operators/runbook/index.ts";
import { causes } from "../../subjects/tikv/kit/causes.ts";
import { incidentOn, WorkBench } from "../support/work-bench.ts";

const folder = new URL("../../subjects/tikv/kit/runbooks", import.meta.url).pathname;
const books = await loadRunbooks([folder], causes);

const follow = (bench: WorkBench, change: Parameters<WorkBench["work"]>[1] = {}) =>
  bench.work(runbook(books, { clock: bench.clock }), change);

const dead = (exitCode: number): Partial<ContainerState> => ({ status: "exited", exitCode });

describe("repairs", () => {
  test.each<[string, string, Partial<ContainerState>, string, string]>([
    ["a store killed from outside", "tikv1", dead(137), "container_start tikv1", "process-stopped"],
    ["a store stopped gracefully", "tikv2", dead(0), "container_start tikv2", "process-stopped"],
    ["a store suspended", "tikv1", { status: "paused" }, "container_unpause tikv1", "process-frozen"],
    ["a store off the network", "tikv0", { networks: [] }, "network_connect tikv0", "network-isolated"],
    ["a PD member killed", "pd1", dead(137), "container_start pd1", "process-stopped"],
    ["a PD member suspended", "pd2", { status: "paused" }, "container_unpause pd2", "process-frozen"],
    ["a PD member off the network", "pd0", { networks: [] }, "network_connect pd0", "network-isolated"],
  ])("%s", async (_, component, state, write, cause) => {
    const bench = new WorkBench();
    bench.cluster.engine.set(component, state);
    const { result, writes, calls } = await follow(bench, { incident: incidentOn(component) });
    expect(writes).toEqual([write]);
    expect(result).toMatchObject({ ending: "resolved", diagnosis: { cause, components: [component] } });
    expect(calls.indexOf("hypothesis")).toBeLessThan(calls.indexOf(write.split(" ")[0] ?? ""));
    expect((await bench.cluster.engine.list(bench.signal.signal)).every(({ status }) => status === "running")).toBe(
      true,
    );
  });

  test("two at once: the majority of PD first, then the store", async () => {
    const bench = new WorkBench();
    bench.cluster.engine.set("tikv1", dead(137));
    bench.cluster.engine.set("pd1", dead(137));
    const { result, writes } = await follow(bench);
    expect(writes).toEqual(["container_start pd1", "container_start tikv1"]);
    expect(result.diagnosis?.components).toEqual(["pd1", "tikv1"]);
  });

  test("what does not come back is escalated, and not started twice", async () => {
    const bench = new WorkBench();
    bench.cluster.engine.set("tikv1", dead(137));
    bench.cluster.deaf.add("tikv1");
    const { result, writes } = await follow(bench);
    expect(writes).toEqual(["container_start tikv1"]);
    expect(result).toMatchObject({ ending: "escalated", diagnosis: { cause: "process-stopped" } });
    expect(result.diagnosis?.explanation).toMatch(/^tikv1: .*Not repaired: /);
  });

  test("in observe mode nothing is touched and the diagnosis is handed over", async () => {
    const bench = new WorkBench();
    bench.cluster.engine.set("tikv1", dead(137));
    const { result, writes } = await follow(bench, { mode: "observe" });
    expect(writes).toEqual([]);
    expect(result).toMatchObject({
      ending: "escalated",
      diagnosis: { cause: "process-stopped", components: ["tikv1"] },
    });
    expect(result.diagnosis?.explanation).toBe(
      "tikv1: A store's process was stopped from outside. Not repaired: nothing may be changed in observe mode.",
    );
  });

  test("the same cluster gives the same calls", async () => {
    const runs = await Promise.all(
      [1, 2].map(async () => {
        const bench = new WorkBench();
        bench.cluster.engine.set("tikv1", dead(137));
        return (await follow(bench)).calls;
      }),
    );
    expect(runs[0]).toEqual(runs[1]);
  });
});

/** Log lines of tikv-facts §3, as the real programs write them. */
const line = (level: string, message: string, rest = "") =>
  `[2026/01/02 03:04:05.678 +00:00] [${level}] [server.rs:123] ["${message}"]${rest} [thread_id=7]`;

describe("look-alikes are escalated untouched", () => {
  test.each<[string, Partial<ContainerState>, readonly string[], string]>([
    [
      "a full disk",
      dead(1),
      [line("FATAL", "rocksdb background error", ' [err="IO error: No space left on device: while appending"]')],
      "disk-full",
    ],
    [
      "a full disk, killed afterwards",
      dead(137),
      [line("ERROR", "no available space; create the place holder file failed")],
      "disk-full",
    ],
    [
      "a reserve that is reached, still running",
      {},
      [line("WARN", "disk usage Normal->AlmostFull", " [available=5GiB] [capacity=98GiB]")],
      "disk-full",
    ],
    [
      "a binary for another GLIBC",
      { ...dead(1), restartCount: 3 },
      ["/tikv-server: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by /tikv-server)"],
      "binary-mismatch",
    ],
    [
      "the same while its policy tries again",
      { status: "restarting", exitCode: 1, restartCount: 4 },
      ["/tikv-server: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by /tikv-server)"],
      "binary-mismatch",
    ],
    ["an image for another platform", dead(1), ["exec /tikv-server: exec format error"], "binary-mismatch"],
    [
      "a processor without x86-64-v2",
      dead(127),
      ["Fatal glibc error: CPU does not support x86-64-v2"],
      "binary-mismatch",
    ],
    [
      "a wiped volume",
      dead(1),
      [line("FATAL", "failed to start node: Grpc(RpcFailure(duplicated store address: id:9 address:tikv1:20160))")],
      "data-folder-lost",
    ],
    ["a foreign volume", dead(1), [line("FATAL", "cluster ID mismatch, local 1 != remote 2")], "data-folder-lost"],
    [
      "a panic mark",
      dead(1),
      [line("FATAL", "panic_mark_file /data/panic_mark_file exists, there must be something wrong")],
      "data-corrupted",
    ],
    ["an end by its memory limit", { ...dead(137), oomKilled: true }, [], "memory-exhausted"],
    [
      "a data folder in use",
      dead(1),
      [line("FATAL", "lock /data failed, maybe another instance is using this directory.")],
      "other",
    ],
    [
      "too few open files",
      dead(1),
      [
        line(
          "FATAL",
          "the maximum number of open file descriptors is too small, got 1024, expect greater or equal to 82920",
        ),
      ],
      "file-descriptors-exhausted",
    ],
    ["an unknown panic", dead(134), [line("FATAL", "index out of bounds", " [backtrace=…]")], "other"],
    [
      "one that ended again while it was waited for",
      { status: "restarting", exitCode: 137, restartCount: 5 },
      [],
      "process-restart-loop",
    ],
    [
      "a loop of restarts",
      { status: "restarting", exitCode: 1, restartCount: 14 },
      [line("FATAL", "invalid configuration")],
      "process-restart-loop",
    ],
  ])("%s", async (_, state, log, cause) => {
    const bench = new WorkBench();
    bench.cluster.engine.set("tikv1", state, log);
    if (state.status === undefined) bench.cluster.deaf.add("tikv1");
    const { result, writes } = await follow(bench);
    expect(writes).toEqual([]);
    expect(bench.cluster.engine.acts).toEqual([]);
    expect(result).toMatchObject({ ending: "escalated", diagnosis: { cause, components: ["tikv1"] } });
  });
});

describe("what needs no hand", () => {
  test("a false alarm: nothing is wrong, nothing is done", async () => {
    const { result, writes } = await follow(new WorkBench());
    expect(writes).toEqual([]);
    expect(result).toMatchObject({ ending: "no-fault", diagnosis: { cause: "none", components: [] } });
  });

  test("a crash that the policy repairs is watched, not touched", async () => {
    const bench = new WorkBench();
    await bench.cluster.engine.crash("tikv1" as never, bench.signal.signal);
    const { result, writes } = await follow(bench);
    expect(writes).toEqual([]);
    expect(result).toMatchObject({
      ending: "no-fault",
      diagnosis: { cause: "process-restarted", components: ["tikv1"] },
    });
  });

  test("one that is back already", async () => {
    const bench = new WorkBench();
    bench.cluster.engine.set("tikv1", { restartCount: 3 });
    const { result } = await follow(bench);
    expect(result).toMatchObject({
      ending: "no-fault",
      diagnosis: { cause: "process-restarted", components: ["tikv1"] },
    });
  });

  test("clients that fail while everything runs are a matter for people", async () => {
    const bench = new WorkBench();
    bench.cluster.clientOk = 0.5;
    const { result, writes } = await follow(bench);
    expect(writes).toEqual([]);
    expect(result.ending).toBe("escalated");
  });
});

test("the shipped files are valid, and every cause they name is published", () => {
  expect(books.map((book) => book.runbook)).toContain("cluster-well");
  const named = books.map((book) => book.diagnosis.cause);
  expect(causes.map(({ id }) => id)).toEqual(expect.arrayContaining(named));
  const endings: readonly SubmittedDiagnosis["ending"][] = books.map((book) => book.diagnosis.ending);
  expect(new Set(endings)).toEqual(new Set(["resolved", "no-fault", "escalated"]));
});
