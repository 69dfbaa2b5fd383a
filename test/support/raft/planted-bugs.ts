import { encodeMessage, Membership, type RaftMessage, type RaftStorage } from "../../../subjects/common/raft/index.ts";
import type { CheckName } from "./sim-judge.ts";
import type { Mischief } from "./sim-mischief.ts";
import type { Theme } from "./sim-plan.ts";
import { TICK_MS, type SimProcess } from "./sim-process.ts";

export interface PlantedBug {
  /** Made anew for each schedule: some keep notes. */
  plant(): Mischief;
  /** Schedules in which it shows. */
  readonly theme: Theme | "return";
  /** Which checks may be the first to see it. */
  readonly caughtBy: readonly CheckName[];
}

const message = (type: RaftMessage["type"], parts: Partial<RaftMessage>): RaftMessage => ({
  type,
  from: 0,
  to: 0,
  term: 0,
  index: 0,
  logTerm: 0,
  commit: 0,
  reject: false,
  hint: 0,
  entries: [],
  snapshot: null,
  ...parts,
});

/** What `write` does differently; all else as it is. */
const withWrite = (storage: RaftStorage, write: RaftStorage["write"]): RaftStorage => ({
  get sizeBytes() {
    return storage.sizeBytes;
  },
  write,
  rewrite: (images) => storage.rewrite(images),
  [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
});

const soon = (process: SimProcess, ms: number): Promise<void> =>
  new Promise((resolve) =>
    process.later(ms, () => {
      process.cluster.world.settles();
      resolve();
    }),
  );

/** Each is what somebody might really get wrong in a Raft core, a disk or its use, planted around the correct one. */
export const PLANTED_BUGS: Readonly<Record<string, PlantedBug>> = {
  "acknowledge-before-fsync": {
    theme: "disks",
    plant: () => ({
      // The write is said to be on disk at once; it really is much later.
      storage: (storage, process) => {
        process.disk.slownessMs = 400;
        return withWrite(storage, (updates) => {
          void storage.write(updates).catch(() => {});
          return soon(process, 1);
        });
      },
    }),
    caughtBy: [
      "leader completeness",
      "state machine safety",
      "acknowledged stays",
      "linearizability",
      "election safety",
      "log matching",
      "no exception",
    ],
  },
  "vote-twice-after-restart": {
    theme: "elections",
    plant: () => ({
      restored: (image) => ({ ...image, hardState: { ...image.hardState, vote: 0 } }),
    }),
    caughtBy: ["election safety", "log matching"],
  },
  "term-forgotten-after-restart": {
    theme: "elections",
    plant: () => ({
      restored: (image) => {
        const term = image.entries.at(-1)?.term ?? image.snapshot?.term ?? 0;
        return { ...image, hardState: { ...image.hardState, term, vote: 0 } };
      },
    }),
    caughtBy: ["election safety", "log matching", "leader completeness", "state machine safety"],
  },
  "retry-after-failed-fsync": {
    theme: "disks",
    plant: () => ({
      // The second try succeeds without having written what the first one lost.
      storage: (storage, process) =>
        withWrite(storage, async (updates) => {
          if (process.disk.failNext) {
            process.disk.failNext = false;
            await soon(process, 2);
            return;
          }
          await storage.write(updates);
        }),
    }),
    caughtBy: [
      "leader completeness",
      "state machine safety",
      "acknowledged stays",
      "election safety",
      "log matching",
      "no exception",
      "linearizability",
    ],
  },
  "acknowledge-uncommitted": {
    theme: "mixed",
    plant: () => ({ acknowledgesEarly: true }),
    caughtBy: ["linearizability"],
  },
  "joint-as-one-majority": {
    theme: "membership",
    plant: () => ({
      // Straight into the incoming configuration.
      applyConf: (node, change) => {
        const before = new Membership(node.conf);
        if (change.steps.length === 0 && !before.isJoint) return;
        for (const step of change.steps)
          try {
            node.applyConfChange({ steps: [step], transition: "auto", context: Buffer.alloc(0) });
          } catch {
            // A step that leaves no voters: the next ones add some.
          }
        if (change.steps.length === 0) node.applyConfChange(change);
      },
    }),
    caughtBy: ["election safety", "log matching", "leader completeness", "state machine safety", "linearizability"],
  },
  "read-without-heartbeats": {
    theme: "network",
    plant: () => ({
      read: (node, answer) => {
        answer(node.commitIndex);
        return true;
      },
    }),
    caughtBy: ["linearizability"],
  },
  "old-snapshot-over-newer-log": {
    theme: "snapshots",
    plant: () => ({
      incoming: ({ type, snapshot }, process, group) => {
        const node = process.groups.get(group)?.node;
        if (type !== "snapshot" || snapshot === null || node === undefined || snapshot.index >= node.lastIndex)
          return false;
        process.cluster.overwrite(process, {
          group,
          snapshot,
          hardState: { ...node.hardState, commit: snapshot.index },
        });
        return true;
      },
    }),
    caughtBy: ["leader completeness", "state machine safety", "acknowledged stays", "no exception", "convergence"],
  },
  "lease-kept-across-transfer": {
    theme: "leases",
    plant: () => ({
      // The target is told to take over, and the leader's lease does not know.
      transfer: (process, group, node, to) => {
        const parts = { from: process.id, to, term: node.roleState.term };
        process.send(group, [message("timeout-now", parts)]);
      },
    }),
    caughtBy: ["linearizability"],
  },
  "lease-by-ticks-that-did-not-run": {
    theme: "leases",
    plant: () => ({
      // A clock that stands still with its process.
      monotonic: (real) => {
        let lost = 0;
        let last = real();
        return () => {
          const now = real();
          if (now - last > 3 * TICK_MS) lost += now - last;
          last = now;
          return now - lost;
        };
      },
    }),
    caughtBy: ["linearizability"],
  },
  "skip-pre-vote": {
    theme: "return",
    plant: () => ({
      // Whoever asks is told by itself that all would vote for it.
      outgoing: (sent, process, group) => {
        if (sent.type !== "pre-vote") return [sent];
        const { to: from, from: to, term } = sent;
        process.later(0, () => process.receive(group, encodeMessage(message("pre-vote-reply", { from, to, term }))));
        return [];
      },
    }),
    caughtBy: ["undisturbed leader"],
  },
};
