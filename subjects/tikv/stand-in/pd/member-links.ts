import type { Clock } from "../../../../harness/base/clock.ts";
import { parseAddress } from "../../../common/link/dial.ts";
import type { LinkRules } from "../../../common/link/link-rules.ts";
import type { Hello } from "../../../common/link/peer-connection.ts";
import { PeerLink } from "../../../common/link/peer-link.ts";
import { decodeMessage, encodeMessage, type RaftMessage } from "../../../common/raft/index.ts";
import { logOfNode, type NodeLog } from "../node-log.ts";
import { Rejoin } from "./rejoin.ts";
import type { MemberMeta } from "./state.ts";

const RAFT_FRAME = 1;
const NEWS_FRAME = 2;

/** What members tell each other outside the log: it may be lost. */
export type News =
  /** A follower's read waits for the leader to confirm that it leads. */
  | { readonly kind: "read"; readonly id: number }
  | { readonly kind: "read-confirmed"; readonly id: number }
  /** A member that led before it was restarted does not want the leader key. */
  | { readonly kind: "key-given-up" }
  /** How long a way there and back takes; `at` is the asking member's. */
  | { readonly kind: "probe"; readonly at: number }
  | { readonly kind: "probe-back"; readonly at: number }
  | { readonly kind: "member"; readonly member: MemberMeta }
  | { readonly kind: "regions"; readonly regions: readonly unknown[]; readonly whole: boolean };

export interface MemberLinksOptions {
  readonly self: MemberMeta;
  readonly cluster: string;
  readonly rules: LinkRules;
  readonly clock: Clock;
  readonly timeFactor: number;
  readonly log: NodeLog;
  onRaft(message: RaftMessage): void;
  onNews(from: string, news: News): void;
  /** A link to that member has come up. */
  onUp(name: string): void;
  onLost(raftId: number): void;
}

/** One member's connections to the others, for the log's messages and for news. */
export class MemberLinks implements AsyncDisposable {
  readonly #options: MemberLinksOptions;
  readonly #links = new Map<number, PeerLink>();
  readonly #names = new Map<number, string>();
  readonly #rejoin: Rejoin;

  constructor(options: MemberLinksOptions) {
    this.#options = options;
    this.#rejoin = new Rejoin(options, () => [...this.#names.values()].filter((name) => name !== options.self.name));
  }

  /** Connects to a member that is not known yet. */
  add({ name, raftId, peerUrls }: MemberMeta): void {
    const { self, rules, clock, cluster, log } = this.#options;
    this.#names.set(raftId, name);
    if (raftId === self.raftId || this.#links.has(raftId)) return;
    const link = new PeerLink({
      target: { ...parseAddress(peerUrls[0] ?? ""), peer: name },
      hello: { name: self.name, cluster },
      rules,
      clock,
      log: logOfNode(log, "stream.go:1"),
      onState: (connected, why) => this.#onState(name, raftId, connected, why),
    });
    this.#links.set(raftId, link);
  }

  nameOf(raftId: number): string | null {
    return this.#names.get(raftId) ?? null;
  }

  /** Members whose link is up. */
  connected(): readonly string[] {
    return [...this.#links].filter(([, link]) => link.connected).map(([id]) => this.#names.get(id) ?? "");
  }

  send(messages: readonly RaftMessage[]): void {
    if (this.#rejoin.deaf) return;
    for (const message of messages)
      this.#links.get(message.to)?.send(Buffer.concat([Buffer.from([RAFT_FRAME]), encodeMessage(message)]));
  }

  tell(raftId: number, news: News): void {
    this.#links.get(raftId)?.send(newsFrame(news));
  }

  tellAll(news: News): void {
    const frame = newsFrame(news);
    for (const link of this.#links.values()) link.send(frame);
  }

  /** Another member's frames, for the peer port. */
  async receive(hello: Hello, frames: AsyncIterable<Buffer>): Promise<void> {
    const { cluster, onRaft, onNews } = this.#options;
    if (hello.cluster !== cluster) return;
    for await (const frame of frames) {
      const content = frame.subarray(1);
      if (frame[0] === NEWS_FRAME) onNews(hello.name, JSON.parse(content.toString("utf8")) as News);
      else if (!this.#rejoin.deaf) onRaft(decodeMessage(content));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rejoin[Symbol.dispose]();
    await Promise.all([...this.#links.values()].map((link) => link[Symbol.asyncDispose]()));
  }

  #onState(name: string, raftId: number, connected: boolean, why: string): void {
    const { log, onUp, onLost } = this.#options;
    if (connected) {
      log.info("stream.go:412", "established TCP streaming connection with remote peer", { "remote-peer-name": name });
      return onUp(name);
    }
    log.warn("stream.go:421", "lost TCP streaming connection with remote peer", {
      "remote-peer-name": name,
      error: why,
    });
    onLost(raftId);
  }
}

const newsFrame = (news: News): Buffer => Buffer.concat([Buffer.from([NEWS_FRAME]), Buffer.from(JSON.stringify(news))]);
