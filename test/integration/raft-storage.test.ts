import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { StoreError } from "../../harness/base/errors.ts";
import { seededRandom } from "../../harness/base/random.ts";
import {
  FileRaftStorage,
  newGroup,
  RaftNode,
  RaftRunner,
  type Entry,
  type RaftGroup,
  type RaftSnapshot,
} from "../../subjects/common/raft/index.ts";

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "raft-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function logFile(folder: string): Promise<string> {
  const names = await readdir(folder);
  expect(names).toHaveLength(1);
  return join(folder, names[0] ?? "");
}

const entry = (index: number, term: number, text: string): Entry => ({
  index,
  term,
  kind: "normal",
  data: Buffer.from(text),
});

describe("a log file", () => {
  it("holds what was written, rewritten entries as the last ones", async () => {
    await using folder = await temporaryFolder();
    {
      const { storage } = await FileRaftStorage.open(folder.path);
      await using open = storage;
      const group = newGroup({ voters: [1], learners: [] }, Buffer.from("start"));
      await open.write([
        { group: 1, ...group },
        { group: 2, meta: Buffer.from("about two") },
      ]);
      await open.write([{ group: 1, entries: [entry(6, 5, "a"), entry(7, 5, "b"), entry(8, 5, "c")] }]);
      await open.write([{ group: 1, hardState: { term: 6, vote: 2, commit: 6 }, entries: [entry(7, 6, "B")] }]);
    }
    const { storage, found } = await FileRaftStorage.open(folder.path);
    await using _ = storage;
    expect(found.get(1)?.hardState).toEqual({ term: 6, vote: 2, commit: 6 });
    expect(found.get(1)?.entries.map(({ index, data }) => `${index}${data}`)).toEqual(["6a", "7B"]);
    expect(found.get(1)?.snapshot?.data.toString()).toBe("start");
    expect(found.get(2)?.meta?.toString()).toBe("about two");
  });

  it("loses only the last record when that was torn, wherever it was torn, and can be written again", async () => {
    await using folder = await temporaryFolder();
    const { storage } = await FileRaftStorage.open(folder.path);
    const group = newGroup({ voters: [1], learners: [] });
    await storage.write([{ group: 1, ...group, entries: [entry(6, 5, "kept")] }]);
    const kept = (await readFile(await logFile(folder.path))).length;
    await storage.write([{ group: 1, entries: [entry(7, 5, "torn")] }]);
    await storage[Symbol.asyncDispose]();
    const bytes = await readFile(await logFile(folder.path));
    const whole = bytes.length;
    for (let length = kept; length < whole; length += 7) {
      await writeFile(await logFile(folder.path), bytes.subarray(0, length));
      const { storage: again, found } = await FileRaftStorage.open(folder.path);
      await using open = again;
      expect(found.get(1)?.entries.map(({ index }) => index)).toEqual([6]);
      await open.write([{ group: 1, entries: [entry(7, 6, "new")] }]);
    }
    const { storage: last, found } = await FileRaftStorage.open(folder.path);
    await using _ = last;
    expect(found.get(1)?.entries.map(({ term }) => term)).toEqual([5, 6]);
  });

  /** A file of two records, and where the second one begins. */
  async function twoRecords(folder: string): Promise<{ file: string; bytes: Buffer; second: number }> {
    const { storage } = await FileRaftStorage.open(folder);
    await storage.write([{ group: 1, ...newGroup({ voters: [1], learners: [] }) }]);
    const second = (await readFile(await logFile(folder))).length;
    await storage.write([{ group: 1, entries: [entry(6, 5, "x".repeat(3_000))] }]);
    await storage[Symbol.asyncDispose]();
    const file = await logFile(folder);
    return { file, bytes: await readFile(file), second };
  }

  it("is refused, and left as it is, when any byte of it was changed", async () => {
    await using folder = await temporaryFolder();
    const { file, bytes, second } = await twoRecords(folder.path);
    // Lengths too: a record that only seems to end beyond the file is no torn one.
    for (const at of [
      1,
      8,
      9,
      11,
      12,
      16,
      25,
      second - 1,
      second,
      second + 3,
      second + 5,
      second + 50,
      bytes.length - 1,
    ]) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      await writeFile(file, damaged);
      await expect(FileRaftStorage.open(folder.path), `byte ${at}`).rejects.toThrow(StoreError);
      expect(await readFile(file)).toEqual(damaged);
    }
  });

  it("loses a last record of which a sector was never written", async () => {
    await using folder = await temporaryFolder();
    const { file, bytes, second } = await twoRecords(folder.path);
    const torn = Buffer.from(bytes);
    torn.fill(0, second + 600);
    await writeFile(file, torn);
    const { storage, found } = await FileRaftStorage.open(folder.path);
    await using _ = storage;
    expect(found.get(1)?.entries).toEqual([]);
    expect(found.get(1)?.hardState.commit).toBe(5);
  });

  it("of another format is refused by name", async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, "0000000000000001.raftlog"), Buffer.alloc(64, 7));
    await expect(FileRaftStorage.open(folder.path)).rejects.toThrow(/format that is not known/);
  });

  it("is never written again after a write has failed", async () => {
    await using folder = await temporaryFolder();
    const { storage } = await FileRaftStorage.open(folder.path);
    await storage.write([{ group: 1, ...newGroup({ voters: [1], learners: [] }) }]);
    await storage[Symbol.asyncDispose]();
    await expect(storage.write([{ group: 1, entries: [entry(6, 5, "lost")] }])).rejects.toThrow(StoreError);
    await expect(storage.write([{ group: 1, entries: [entry(6, 5, "again")] }])).rejects.toThrow(
      /earlier write failed/,
    );
    await expect(storage.rewrite([])).rejects.toThrow(/earlier write failed/);
    const { storage: again, found } = await FileRaftStorage.open(folder.path);
    await using _ = again;
    expect(found.get(1)?.entries).toEqual([]);
  });

  it("survives a crash in the middle of a rewrite", async () => {
    await using folder = await temporaryFolder();
    const { storage } = await FileRaftStorage.open(folder.path);
    await storage.write([{ group: 1, ...newGroup({ voters: [1], learners: [] }), entries: [entry(6, 5, "kept")] }]);
    await storage[Symbol.asyncDispose]();
    await appendFile(join(folder.path, "0000000000000002.raftlog.tmp"), "half");
    const { storage: again, found } = await FileRaftStorage.open(folder.path);
    await using _ = again;
    expect(found.get(1)?.entries).toHaveLength(1);
    await logFile(folder.path);
  });
});

describe("a runner", () => {
  it("writes the file anew when it has grown, and loses nothing by it", async () => {
    await using folder = await temporaryFolder();
    const { storage } = await FileRaftStorage.open(folder.path);
    const runner = new RaftRunner({
      storage,
      rewriteAfterBytes: 20_000,
      onFatal: (error) => expect.fail(String(error)),
    });
    const machines = [1, 2].map((id) => machine(id));
    for (const one of machines) {
      await runner.write({ group: one.id, ...newGroup({ voters: [1], learners: [] }, one.bytes()) });
      runner.add(one);
      one.node.campaign();
      runner.wake(one.id);
    }
    await until(() => machines.every(({ node }) => node.leadsFirmly));
    for (let count = 0; count < 400; count++) {
      for (const { id, node } of machines) {
        node.propose(Buffer.from(`value ${count} of ${id}`.padEnd(100)));
        runner.wake(id);
      }
      if (count % 10 === 0) await until(() => machines.every(({ node }) => node.appliedIndex === node.lastIndex));
    }
    await until(() => machines.every(({ node }) => node.appliedIndex === node.lastIndex));
    await runner.stop();
    await storage[Symbol.asyncDispose]();
    expect((await readdir(folder.path))[0]).not.toBe("0000000000000001.raftlog");

    const { storage: again, found } = await FileRaftStorage.open(folder.path);
    await using _ = again;
    for (const { id, values } of machines) {
      const image = found.get(id);
      const before = JSON.parse(image?.snapshot?.data.toString() ?? "[]") as string[];
      const after = image?.entries.filter(({ data }) => data.length > 0).map(({ data }) => data.toString()) ?? [];
      expect([...before, ...after]).toEqual(values);
      expect(values).toHaveLength(400);
    }
  });

  it("stops for good when the disk fails", async () => {
    await using folder = await temporaryFolder();
    const { storage } = await FileRaftStorage.open(folder.path);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const runner = new RaftRunner({ storage, onFatal: resolve });
    const one = machine(1);
    runner.add(one);
    await storage[Symbol.asyncDispose]();
    one.node.campaign();
    runner.wake(1);
    expect(await promise).toBeInstanceOf(StoreError);
    expect(one.node.leadsFirmly).toBe(false);
  });
});

interface TestMachine extends RaftGroup {
  readonly values: string[];
  bytes(): Buffer;
}

/** A group of one whose state machine is the list of what was proposed. */
function machine(id: number): TestMachine {
  const values: string[] = [];
  const bytes = (): Buffer => Buffer.from(JSON.stringify(values));
  const node = new RaftNode({
    id: 1,
    restored: newGroup({ voters: [1], learners: [] }, bytes()),
    random: seededRandom(id),
    electionTicks: 10,
    heartbeatTicks: 2,
    takeSnapshot: bytes,
  });
  return {
    id,
    node,
    values,
    bytes,
    send: () => {},
    apply: (entries) => {
      for (const { data } of entries) if (data.length > 0) values.push(data.toString());
    },
    restore: (snapshot: RaftSnapshot) => {
      values.splice(0, values.length, ...(JSON.parse(snapshot.data.toString()) as string[]));
    },
    onRole: () => {},
    onReads: () => {},
  };
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}
