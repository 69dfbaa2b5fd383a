import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { claimInstance, instancePaths } from "../../harness/engine/instances.ts";
import { readHolder, takeLock } from "../../harness/engine/locks.ts";
import { openOwnerEngine, openProcessEngine } from "../../harness/engine/process/client.ts";
import { isAlive, type ProcessIdentity } from "../../harness/engine/process/identity.ts";
import { processKeeper } from "../../harness/engine/process/keeper.ts";
import { freePortBlock, holdPortBlock, type PortBlock } from "../../harness/engine/process/ports.ts";
import { startSupervisor } from "../../harness/engine/process/start-supervisor.ts";
import { sweepInstances } from "../../harness/engine/sweep.ts";
import type { Component } from "../../harness/protocol.ts";
import { suiteNode } from "../support/suite-nodes.ts";

const steady = "steady" as Component;
const frozen = "frozen" as Component;
const helper = "helper" as Component;
const holder = { pid: process.pid, what: "the test", since: "2026-01-01T00:00:00.000Z" };
const programs = path.join(import.meta.dirname, "../support/programs");

let root: string;
let owners: ChildProcess[];
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "life-"));
  owners = [];
});
afterEach(async () => {
  for (const owner of owners) if (owner.kill("SIGKILL") && owner.exitCode === null) await once(owner, "exit");
  await sweep();
  await rm(root, { recursive: true, force: true });
});

/** V8's own, which is a global only in programs started with the flag. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

const sweep = () =>
  sweepInstances(
    root,
    { keepers: { process: processKeeper }, heal: async () => {}, holder, clock: systemClock },
    new AbortController().signal,
  );

/** Another process that owns an instance; resolves when its nodes run. */
async function startOwner(id: string, ...args: string[]) {
  const child = spawn(process.execPath, [path.join(programs, "suite-owner.ts"), root, id, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  owners.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const { paths, pids } = { paths: instancePaths(root, id), pids: () => readPids(id) };
  return { child, paths, pids, sockets: JSON.parse(line) as { engine: string; owner: string } };
}

function readPids(id: string): { supervisor: ProcessIdentity; nodes: ProcessIdentity[] } {
  return JSON.parse(readFileSync(path.join(instancePaths(root, id).dir, "pids.json"), "utf8"));
}

const untilGone = (processes: readonly ProcessIdentity[], signal: AbortSignal) =>
  waitFor(() => !processes.some(isAlive), {
    clock: systemClock,
    timeoutMs: 10_000,
    everyMs: 20,
    what: "processes to end",
    signal,
  });

describe("an embedded instance", () => {
  test("ends with its owner", async ({ signal }) => {
    const { child, pids } = await startOwner("a1");
    const { supervisor, nodes } = pids();
    expect(nodes).toHaveLength(2);
    child.kill("SIGKILL");
    await untilGone([supervisor, ...nodes], signal);
  });

  test("outlives an owner that detached it, until it is torn down", async ({ signal }) => {
    const { child, pids, sockets } = await startOwner("a2", "detach");
    child.kill("SIGKILL");
    await once(child, "exit");
    const { supervisor, nodes } = pids();
    await using engine = await openOwnerEngine({ socketPath: sockets.owner, hold: false }, signal);
    expect(await engine.inspect(steady, signal)).toMatchObject({ status: "running" });
    await engine.tearDown();
    expect([supervisor, ...nodes].filter(isAlive)).toEqual([]);
    await engine.tearDown();
    await expect(engine.list(signal)).rejects.toMatchObject({ code: "engine-unreachable" });
  });

  test("leaves no node behind when its supervisor is killed, not even a frozen one that watches nothing", async ({
    signal,
  }) => {
    const { pids, sockets } = await startOwner("a3");
    await using engine = await openProcessEngine({ socketPath: sockets.engine }, signal);
    await engine.pause(frozen, signal);
    const { supervisor, nodes } = pids();
    process.kill(supervisor.pid, "SIGKILL");
    await untilGone(nodes, signal);
    await expect(engine.list(signal)).rejects.toMatchObject({ code: "engine-unreachable" });
  });

  test("events fail, they do not just end, when the supervisor is gone", async ({ signal }) => {
    const { pids, sockets } = await startOwner("a4");
    await using engine = await openProcessEngine({ socketPath: sockets.engine }, signal);
    const events = engine.events(signal);
    await engine.list(signal);
    process.kill(pids().supervisor.pid, "SIGKILL");
    await expect(
      (async () => {
        for await (const event of events) expect(event.component).toBe(steady);
      })(),
    ).rejects.toMatchObject({ code: "engine-unreachable" });
  });

  test("is not started twice in one folder; after its supervisor was killed it is", async ({ signal }) => {
    const { paths, pids, sockets } = await startOwner("a5");
    const { supervisor, nodes } = pids();
    const options = {
      ...{ instance: "a5", project: "p", network: "n", stateDir: paths.dir },
      nodes: [suiteNode(paths.dir, steady, "steady")],
    };
    await expect(startSupervisor(options, signal)).rejects.toMatchObject({ code: "already-running" });
    await using first = await openProcessEngine({ socketPath: sockets.engine }, signal);
    expect((await first.list(signal)).map(({ status }) => status)).toEqual(["running", "running"]);
    process.kill(supervisor.pid, "SIGKILL");
    await untilGone([supervisor, ...nodes], signal);
    const { engine } = await startSupervisor(options, signal);
    expect((await engine.list(signal)).map(({ status }) => status)).toEqual(["running"]);
    await engine.tearDown();
  });

  test("runs beside another one; each sees its own", async ({ signal }) => {
    const [one, two] = await Promise.all([startOwner("b1"), startOwner("b2")]);
    await using engine = await openProcessEngine({ socketPath: one.sockets.engine }, signal);
    await engine.kill(steady, {}, signal);
    await using second = await openProcessEngine({ socketPath: two.sockets.engine }, signal);
    expect((await second.inspect(steady, signal)).status).toBe("running");
    one.child.kill("SIGKILL");
    await untilGone([one.pids().supervisor], signal);
    expect((await second.list(signal)).map(({ status }) => status)).toEqual(["running", "running"]);
  });

  test("keeps its sockets to its user, the owner's acts to the owner's socket, our processes to ourselves", async ({
    signal,
  }) => {
    const { sockets, paths } = await startOwner("c1");
    for (const socket of [sockets.engine, sockets.owner]) expect((await stat(socket)).mode & 0o777).toBe(0o600);
    expect((await stat(paths.dir)).mode & 0o777).toBe(0o700);
    await using owner = await openOwnerEngine({ socketPath: sockets.owner, hold: false }, signal);
    await owner.addSupport(suiteNode(paths.dir, helper, "steady"), signal);
    await using asIfOwner = await openOwnerEngine({ socketPath: sockets.engine, hold: false }, signal);
    await expect(asIfOwner.crash(steady, signal)).rejects.toMatchObject({ code: "not-supported" });
    await expect(asIfOwner.cut(steady, {}, signal)).rejects.toMatchObject({ code: "not-supported" });
    await expect(asIfOwner.listSupport(signal)).rejects.toMatchObject({ code: "not-supported" });
    await using operator = await openProcessEngine({ socketPath: sockets.engine }, signal);
    expect((await operator.list(signal)).map(({ component }) => component)).toEqual([steady, frozen]);
    for (const act of [
      operator.inspect(helper, signal),
      operator.logs(helper, {}, signal),
      operator.kill(helper, {}, signal),
      operator.exec(helper, ["echo", "x"], { timeoutMs: 1_000 }, signal),
    ])
      await expect(act).rejects.toMatchObject({ code: "not-found", message: "no such component: helper" });
    expect(await owner.listSupport(signal)).toMatchObject([{ component: helper, status: "running" }]);
    await owner.removeSupport(helper, signal);
    await owner.removeSupport(helper, signal);
    expect(await owner.listSupport(signal)).toEqual([]);
  });

  test("does not run what is not on its list", async ({ signal }) => {
    const { sockets } = await startOwner("c2");
    await using engine = await openProcessEngine({ socketPath: sockets.engine }, signal);
    for (const argv of [["sh", "-c", "id"], ["/bin/ls"], ["../suite-exec.ts"], ["constructor"], ["__proto__"]])
      await expect(engine.exec(steady, argv, { timeoutMs: 1_000 }, signal)).rejects.toMatchObject({
        code: "not-supported",
      });
  });

  test("writes for the link layer who is held from whom; connecting does not mend", async ({ signal }) => {
    const { sockets, paths } = await startOwner("c3");
    await using engine = await openOwnerEngine({ socketPath: sockets.owner, hold: false }, signal);
    const rules = () =>
      (JSON.parse(readFileSync(path.join(paths.dir, "links.json"), "utf8")) as { rules: unknown[] }).rules;
    expect(rules()).toEqual([]);
    await engine.disconnect(steady, signal);
    await engine.cut(steady, { peers: [frozen] }, signal);
    expect(rules()).toEqual([
      { component: steady, peers: null },
      { component: steady, peers: [frozen] },
    ]);
    await engine.connect(steady, {}, signal);
    expect(rules()).toEqual([{ component: steady, peers: [frozen] }]);
    await engine.cut(steady, {}, signal);
    expect(rules()).toEqual([{ component: steady, peers: null }]);
    await engine.mend(steady, signal);
    expect(rules()).toEqual([]);
    await expect(engine.cut(steady, { peers: [helper] }, signal)).rejects.toMatchObject({ code: "not-found" });
  });

  test("shows file names, never our folders, in the stack trace of a node that fails", async ({ signal }) => {
    const { sockets, paths } = await startOwner("c4");
    await using engine = await openOwnerEngine({ socketPath: sockets.owner, hold: false }, signal);
    const broken = { ...suiteNode(paths.dir, helper, "broken"), restartPolicy: { name: "no" as const, max: 0 } };
    await engine.addSupport(broken, signal);
    const lines = await waitFor(
      async () => {
        const { status } = await engine.inspect(helper, signal);
        return status === "exited" ? await engine.logs(helper, {}, signal) : null;
      },
      { clock: systemClock, timeoutMs: 10_000, everyMs: 20, what: "the node to fail", signal },
    );
    const text = lines.map((line) => line.text).join("\n");
    expect(text).toContain("suite-node.ts");
    expect(text).not.toContain(path.resolve(import.meta.dirname, "../.."));
    expect(text).not.toContain(root);
  });

  test("listens elsewhere when its folder's path is too long for a socket", async ({ signal }) => {
    const stateDir = path.join(root, "x".repeat(90), "y".repeat(40));
    const nodes = [suiteNode(stateDir, steady, "steady")];
    const { engine, sockets } = await startSupervisor(
      { instance: path.basename(root), project: "p", network: "n", stateDir, nodes },
      signal,
    );
    expect((await engine.list(signal)).map(({ component }) => component)).toEqual([steady]);
    expect((await stat(path.dirname(sockets.engine))).mode & 0o777).toBe(0o700);
    await engine.tearDown();
    expect(existsSync(path.dirname(sockets.engine))).toBe(false);
    await mkdir(path.dirname(sockets.engine), { mode: 0o755 });
    const again = startSupervisor(
      { instance: path.basename(root), project: "p", network: "n", stateDir, nodes },
      signal,
    );
    await expect(again).rejects.toMatchObject({ code: "engine-permission" });
    await rm(path.dirname(sockets.engine), { recursive: true });
  });
});

async function letGo(block: PortBlock & AsyncDisposable): Promise<PortBlock> {
  await block[Symbol.asyncDispose]();
  return block;
}

describe("ports", () => {
  test("a block is its instance's until it ends, and no other gets it", async ({ signal }) => {
    const { guardPort, ports } = await freePortBlock(3, seededRandom("ports"));
    expect(guardPort).toBeGreaterThanOrEqual(20_000);
    expect(Math.max(...ports)).toBeLessThan(30_000);
    const start = (name: string) =>
      startSupervisor(
        { instance: name, project: "p", network: "n", stateDir: path.join(root, name), guardPort, nodes: [] },
        signal,
      );
    const { engine } = await start("first");
    await expect(start("second")).rejects.toMatchObject({ code: "port-taken" });
    expect((await freePortBlock(3, seededRandom("ports"))).guardPort).not.toBe(guardPort);
    await engine.tearDown();
    await (await start("third")).engine.tearDown();
  });

  test("a block that is held is given to nobody else, by the same dice either, until it is let go", async () => {
    const held = await holdPortBlock(3, seededRandom("held"));
    expect((await holdPortBlock(3, seededRandom("held")).then(letGo)).guardPort).not.toBe(held.guardPort);
    await letGo(held);
    expect((await freePortBlock(3, seededRandom("held"))).guardPort).toBe(held.guardPort);
  });
});

describe("the owner's lock", () => {
  test("is refused to a second one, naming the first, and free once the first was killed", async () => {
    const { child, paths } = await startOwner("d1");
    expect(takeLock(paths.lock, holder)).toBeNull();
    expect(readHolder(paths.lock)).toMatchObject({ pid: child.pid, what: "suite owner" });
    expect(() => claimInstance(root, "d1", holder)).toThrow(
      expect.objectContaining({ code: "already-running", message: expect.stringContaining('"suite owner"') as string }),
    );
    child.kill("SIGKILL");
    await once(child, "exit");
    using mine = takeLock(paths.lock, holder);
    expect(mine).not.toBeNull();
    expect(takeLock(paths.lock, holder)).toBeNull();
  });

  test("stays with a taker that keeps no hold of it, whatever the garbage collector does", async () => {
    const file = path.join(root, "forgotten.lock");
    const takeAndForget = () => takeLock(file, holder) !== null;
    expect(takeAndForget()).toBe(true);
    // Twice, as finalizers run after the collection that found their object.
    for (let round = 0; round < 2; round++) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(takeLock(file, holder)).toBeNull();
  });

  test("is not refused because another is only asking for it: of two at once one gets it", () => {
    const file = path.join(root, "asked.lock");
    using place = new DisposableStack();
    const asking = place.adopt(new Database(file), (db) => db.close());
    // What every try begins with: SQLite's shared lock.
    asking.exec("BEGIN; SELECT * FROM sqlite_schema");
    using mine = takeLock(file, holder);
    expect(mine).not.toBeNull();
  });
});

describe("a sweep", () => {
  test("removes what a dead owner left, keeps what was detached, leaves a live one alone", async ({ signal }) => {
    const [dead, kept, live] = await Promise.all([startOwner("e1"), startOwner("e2", "detach"), startOwner("e3")]);
    // A supervisor that cannot notice: nobody but the sweep will end its nodes.
    const orphans = dead.pids();
    process.kill(orphans.supervisor.pid, "SIGSTOP");
    for (const owner of [dead, kept]) {
      owner.child.kill("SIGKILL");
      await once(owner.child, "exit");
    }
    const healed: string[] = [];
    const options = {
      keepers: { process: processKeeper },
      holder,
      clock: systemClock,
      heal: async ({ id }: { id: string }) => void healed.push(id),
    };
    expect(await sweepInstances(root, options, signal)).toMatchObject([
      { id: "e1", outcome: "removed" },
      { id: "e2", outcome: "kept" },
      { id: "e3", outcome: "live" },
    ]);
    expect(healed).toEqual(["e2"]);
    expect([orphans.supervisor, ...orphans.nodes].filter(isAlive)).toEqual([]);
    expect(existsSync(dead.paths.dir)).toBe(false);
    for (const owner of [kept, live]) {
      const { supervisor, nodes } = owner.pids();
      expect([supervisor, ...nodes].every(isAlive)).toBe(true);
    }
    process.kill(kept.pids().supervisor.pid, "SIGKILL");
    await untilGone([kept.pids().supervisor], signal);
    expect((await sweepInstances(root, options, signal))[0]).toMatchObject({ id: "e2", outcome: "removed" });
  });

  test("hits nobody who was given the number of a dead node", async ({ signal }) => {
    const { child, pids, paths } = await startOwner("f1");
    child.kill("SIGKILL");
    const { supervisor, nodes } = pids();
    await untilGone([supervisor, ...nodes], signal);
    const stranger = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"], { stdio: "ignore" });
    owners.push(stranger);
    const reused = { pid: stranger.pid ?? 0, started: nodes[0]?.started };
    writeFileSync(path.join(paths.dir, "pids.json"), JSON.stringify({ supervisor, nodes: [reused] }));
    expect(await sweep()).toMatchObject([{ id: "f1", outcome: "removed" }]);
    expect(stranger.exitCode).toBeNull();
    expect(stranger.signalCode).toBeNull();
  });
});
