import type { Clock } from "../../../../harness/base/clock.ts";
import type { Random } from "../../../../harness/base/random.ts";
import type { LinkRules } from "../../../common/link/link-rules.ts";
import type { Hello } from "../../../common/link/peer-connection.ts";
import {
  decodeConfChange,
  FileRaftStorage,
  newGroup,
  RaftNode,
  RaftRunner,
  type Entry,
  type RaftStorage,
  type RoleState,
} from "../../../common/raft/index.ts";
import type { NodeLog } from "../node-log.ts";
import { MemberLinks, type News } from "./member-links.ts";
import { applyCommand, type ClusterState, type Command, type MemberMeta } from "./state.ts";

const GROUP = 1;
/** etcd in PD: ticks of 500 ms, election after 3 s without a leader, randomised up to twice that. */
const TICK_MS = 500;
const ELECTION_TICKS = 6;
const KEEP_ENTRIES = 5_000;

/** It did not come to a decision: this member does not lead (any more). */
export class NotDecidedError extends Error {}

export interface ConsensusOptions {
  readonly self: MemberMeta;
  readonly initial: ClusterState;
  readonly folder: string;
  readonly cluster: string;
  readonly rules: LinkRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeFactor: number;
  readonly log: NodeLog;
  onRole(role: RoleState): void;
  onApplied(state: ClusterState): void;
  onNews(from: string, news: News): void;
  /** A link to that member has come up. */
  onPeerUp(name: string): void;
  /** How long a write with its fsync took. */
  onWritten(ms: number): void;
  /** Proposals of this member's that came to nothing. */
  onFailed(count: number): void;
  onFatal(error: unknown): void;
}

/** The state that all PD members agree on, replicated by Raft; each member's part of what is etcd in the real one. */
export class Consensus implements AsyncDisposable {
  readonly #options: ConsensusOptions;
  readonly #storage: FileRaftStorage;
  readonly #runner: RaftRunner;
  readonly #node: RaftNode;
  readonly #links: MemberLinks;
  readonly #pending = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  readonly #reads = new Map<number, () => void>();
  readonly #stop = new AbortController();
  #state: ClusterState;
  #next = 0;
  #hastened = false;
  /** Whether the group had no life before this process. */
  readonly isNew: boolean;

  static async open(options: ConsensusOptions): Promise<Consensus> {
    const { storage, found } = await FileRaftStorage.open(options.folder);
    const image = found.get(GROUP);
    const voters = options.initial.members.map(({ raftId }) => raftId).sort((a, b) => a - b);
    const begin = newGroup({ voters, learners: [] }, Buffer.from(JSON.stringify(options.initial)));
    const isNew = image?.snapshot === null || image === undefined;
    if (isNew) await storage.write([{ group: GROUP, ...begin }]);
    return new Consensus(
      options,
      storage,
      isNew ? begin : { ...image, snapshot: image.snapshot ?? begin.snapshot },
      isNew,
    );
  }

  private constructor(
    options: ConsensusOptions,
    storage: FileRaftStorage,
    restored: Pick<ReturnType<typeof newGroup>, "hardState" | "snapshot"> & { readonly entries: readonly Entry[] },
    isNew: boolean,
  ) {
    this.#options = options;
    this.#storage = storage;
    this.isNew = isNew;
    this.#state = JSON.parse(restored.snapshot.data.toString("utf8")) as ClusterState;
    this.#runner = new RaftRunner({ storage: measured(storage, options), onFatal: (error) => options.onFatal(error) });
    this.#node = new RaftNode({
      id: options.self.raftId,
      restored,
      random: options.random,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: 1,
      takeSnapshot: () => Buffer.from(JSON.stringify(this.#state)),
    });
    this.#links = new MemberLinks({
      ...options,
      onRaft: (message) => {
        this.#node.step(message);
        this.#runner.wake(GROUP);
      },
      onNews: (from, news) => options.onNews(from, news),
      onUp: (name) => this.#onUp(name),
      onLost: (raftId) => this.#node.reportUnreachable(raftId),
    });
    for (const member of this.#state.members) this.#links.add(member);
    this.#runner.add({
      id: GROUP,
      node: this.#node,
      send: (messages) => this.#links.send(messages),
      apply: (entries) => this.#apply(entries),
      restore: ({ data }) => this.#become(JSON.parse(data.toString("utf8")) as ClusterState),
      onRole: (role) => this.#onRole(role),
      onReads: (states) => {
        for (const { context } of states) this.#reads.get(context)?.();
      },
    });
    void this.#tick();
  }

  /** This member's name. */
  get self(): string {
    return this.#options.self.name;
  }
  get state(): ClusterState {
    return this.#state;
  }
  get role(): RoleState {
    return this.#node.roleState;
  }
  /** Leads, and knows everything that was decided before. */
  get leadsFirmly(): boolean {
    return this.#node.leadsFirmly;
  }
  get term(): number {
    return this.#node.roleState.term;
  }
  /** Of what is agreed on, as text. */
  get sizeBytes(): number {
    return Buffer.byteLength(JSON.stringify(this.#state));
  }
  get pendingProposals(): number {
    return this.#pending.size;
  }
  get applied(): number {
    return this.#node.appliedIndex;
  }
  /** Name of the member that leads the log (etcd's leader), null = unknown. */
  get raftLeader(): string | null {
    return this.#links.nameOf(this.#node.roleState.leader);
  }

  /** Resolves when it is decided and applied here. @throws NotDecidedError; it may still be decided later. */
  async propose(command: Command): Promise<void> {
    const nonce = `${this.#options.self.name}/${this.#node.roleState.term}/${this.#next++}`;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.set(nonce, { resolve, reject });
    const at = this.#node.propose(Buffer.from(JSON.stringify({ nonce, command })));
    if (at === null) {
      this.#pending.delete(nonce);
      throw new NotDecidedError("not leader");
    }
    this.#runner.wake(GROUP);
    return promise;
  }

  /** Resolves once a majority confirmed that this member leads. @throws NotDecidedError; the signal's reason. */
  async confirmLeading(signal: AbortSignal): Promise<void> {
    const context = ++this.#next;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    this.#reads.set(context, resolve);
    try {
      if (!this.#node.readIndex(context)) throw new NotDecidedError("not leader");
      this.#runner.wake(GROUP);
      await promise;
    } finally {
      this.#reads.delete(context);
      signal.removeEventListener("abort", abort);
    }
  }

  /** @returns false when this member cannot hand over to that one. */
  transferTo(raftId: number): boolean {
    const done = this.#node.transferLeader(raftId);
    this.#runner.wake(GROUP);
    return done;
  }

  removeMember(raftId: number): boolean {
    const at = this.#node.proposeConfChange({
      steps: [{ type: "remove", id: raftId }],
      transition: "auto",
      context: Buffer.alloc(0),
    });
    this.#runner.wake(GROUP);
    return at !== null;
  }

  tell(name: string, news: News): void {
    const raftId = this.#state.members.find((member) => member.name === name)?.raftId;
    if (raftId !== undefined) this.#links.tell(raftId, news);
  }

  tellAll(news: News): void {
    this.#links.tellAll(news);
  }

  /** Members whose link is up, besides this one. */
  connectedPeers(): readonly string[] {
    return this.#links.connected();
  }

  /** Another member's frames, for the peer port. */
  receive(hello: Hello, frames: AsyncIterable<Buffer>): Promise<void> {
    return this.#links.receive(hello, frames);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#runner.stop();
    await this.#links[Symbol.asyncDispose]();
    await this.#storage[Symbol.asyncDispose]();
  }

  #onUp(name: string): void {
    const { self, onPeerUp } = this.#options;
    onPeerUp(name);
    // In a new cluster nobody can have been leader: waiting for a time-out would only cost time.
    const first = Math.min(...this.#node.conf.voters);
    const reached = this.#links.connected().length + 1;
    if (this.isNew && this.role.leader === 0 && self.raftId === first && reached > this.#node.conf.voters.length / 2)
      this.#campaign();
    if (!this.isNew && this.role.leader === 0 && !this.#hastened) this.#hasten();
  }

  /**
   * A restarted member that has reached another one does not sit out a whole election time-out
   * (etcd-io/etcd:server/etcdserver/server.go, `adjustTicks`).
   */
  #hasten(): void {
    this.#hastened = true;
    for (let ticks = 0; ticks < ELECTION_TICKS - 2; ticks++) this.#node.tick();
    this.#runner.wake(GROUP);
  }

  #campaign(): void {
    this.#node.campaign();
    this.#runner.wake(GROUP);
  }

  async #tick(): Promise<void> {
    const { clock, timeFactor } = this.#options;
    const { signal } = this.#stop;
    // Alone, there is nobody to be reached first.
    if (this.isNew && this.#node.conf.voters.length === 1) this.#campaign();
    while (!signal.aborted) {
      await clock.sleep(TICK_MS * timeFactor, signal).catch(() => {});
      if (signal.aborted) return;
      this.#node.tick();
      if (this.#node.appliedIndex - this.#node.firstIndex > KEEP_ENTRIES)
        this.#node.compact(this.#node.appliedIndex - KEEP_ENTRIES / 5);
      this.#runner.wake(GROUP);
    }
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind === "conf") this.#node.applyConfChange(decodeConfChange(entry.data));
      else if (entry.data.length > 0) this.#applyOne(entry.data);
    }
  }

  #applyOne(data: Buffer): void {
    const { nonce, command } = JSON.parse(data.toString("utf8")) as { nonce: string; command: Command };
    this.#become(applyCommand(this.#state, command));
    this.#pending.get(nonce)?.resolve();
    this.#pending.delete(nonce);
  }

  #become(state: ClusterState): void {
    this.#state = state;
    for (const member of state.members) this.#links.add(member);
    this.#options.onApplied(state);
  }

  #onRole(role: RoleState): void {
    if (role.role !== "leader") {
      this.#options.onFailed(this.#pending.size);
      for (const { reject } of this.#pending.values()) reject(new NotDecidedError("leader changed"));
      this.#pending.clear();
    }
    this.#options.onRole(role);
  }
}

function measured(storage: RaftStorage, { clock, onWritten }: ConsensusOptions): RaftStorage {
  return {
    get sizeBytes() {
      return storage.sizeBytes;
    },
    write: async (updates) => {
      const began = clock.monotonic();
      await storage.write(updates);
      onWritten(clock.monotonic() - began);
    },
    rewrite: (images) => storage.rewrite(images),
    [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
  };
}
