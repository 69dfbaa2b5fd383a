import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { Counter } from "../../../common/metrics/registry.ts";
import { parseAddress } from "../../../common/link/dial.ts";
import type { LinkRules } from "../../../common/link/link-rules.ts";
import { PeerLink } from "../../../common/link/peer-link.ts";
import { logOfNode, type NodeLog } from "../node-log.ts";
import { encodeFrame, type RaftFrame } from "./raft-frame.ts";

export interface RaftTransportOptions {
  readonly name: string;
  readonly clusterId: string;
  readonly rules: LinkRules;
  readonly clock: Clock;
  readonly log: NodeLog;
  /** server.raft-client-max-backoff: between two words about a connection that is not there. */
  readonly backoffMs: number;
  /** Counts by `type` and `store_id` what could not be delivered. */
  readonly failures: Counter;
  /** A queue to another store had no room. */
  full(): void;
  /** Asks PD. @throws when it does not know or does not answer. */
  resolve(storeId: number, signal: AbortSignal): Promise<string>;
  /** The connection to this store broke, or cannot be made. */
  onUnreachable(storeId: number): void;
}

interface Destination {
  link: PeerLink | null;
  /** Was connected once and is not now: what is sent meanwhile is lost, as on a broken raft connection. */
  broken: boolean;
  early: Buffer[];
}

const MAX_EARLY = 256;
const RESOLVE_RETRY_MS = 300;

/** One connection to every other store, made when first needed. Frames may be lost, never reordered. */
export class RaftTransport implements AsyncDisposable {
  readonly #options: RaftTransportOptions;
  readonly #destinations = new Map<number, Destination>();
  readonly #stop = new AbortController();

  constructor(options: RaftTransportOptions) {
    this.#options = options;
  }

  /** @returns false when it is lost. */
  send(storeId: number, frame: RaftFrame): boolean {
    const destination = this.#destinations.get(storeId) ?? this.#open(storeId);
    if (destination.broken) {
      this.#options.failures.inc({ type: "unreachable", store_id: String(storeId) });
      return false;
    }
    const bytes = encodeFrame(frame);
    if (destination.link !== null) destination.link.send(bytes);
    else if (destination.early.length < MAX_EARLY) destination.early.push(bytes);
    else {
      this.#options.full();
      return false;
    }
    return true;
  }

  /** Frames that wait for an address. */
  get waiting(): number {
    return [...this.#destinations.values()].reduce((sum, { early }) => sum + early.length, 0);
  }

  /** False once a connection to it broke, until it is back. */
  reaches(storeId: number): boolean {
    return this.#destinations.get(storeId)?.broken !== true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all([...this.#destinations.values()].map(({ link }) => link?.[Symbol.asyncDispose]()));
  }

  #open(storeId: number): Destination {
    const destination: Destination = { link: null, broken: false, early: [] };
    this.#destinations.set(storeId, destination);
    void this.#connect(storeId, destination);
    return destination;
  }

  async #connect(storeId: number, destination: Destination): Promise<void> {
    const { log, clock, rules, name, clusterId } = this.#options;
    const { signal } = this.#stop;
    const address = await this.#resolve(storeId);
    if (address === null || signal.aborted) return;
    destination.link = new PeerLink({
      target: parseAddress(address),
      hello: { name, cluster: clusterId },
      rules,
      clock,
      log: logOfNode(log, "raft_client.rs:700"),
      onState: (connected, why) => this.#onState(storeId, address, connected, why),
    });
    for (const bytes of destination.early.splice(0)) destination.link.send(bytes);
    void this.#complain(storeId, address, destination.link);
  }

  /** As long as the connection is not there, every now and then. */
  async #complain(storeId: number, address: string, link: PeerLink): Promise<void> {
    const { clock, log, backoffMs, onUnreachable } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(backoffMs, signal).catch(() => {});
      if (signal.aborted || link.connected) continue;
      log.warn("raft_client.rs:902", "wait connect timeout", { store_id: storeId, addr: address });
      onUnreachable(storeId);
    }
  }

  async #resolve(storeId: number): Promise<string | null> {
    const { log, clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const address = await this.#options.resolve(storeId, signal);
        log.info("resolve.rs:121", "resolve store address ok", { store_id: storeId, addr: address });
        return address;
      } catch (error) {
        if (signal.aborted) return null;
        log.error("raft_client.rs:840", "resolve store address failed", { store_id: storeId, err: errorText(error) });
        this.#options.failures.inc({ type: "resolve", store_id: String(storeId) });
        await clock.sleep(RESOLVE_RETRY_MS, signal).catch(() => {});
      }
    }
    return null;
  }

  #onState(storeId: number, address: string, connected: boolean, why: string): void {
    const { log } = this.#options;
    const destination = this.#destinations.get(storeId);
    if (destination === undefined || this.#stop.signal.aborted) return;
    destination.broken = !connected;
    const fields = { store_id: storeId, addr: address };
    if (connected) return log.info("raft_client.rs:913", "connection established", fields);
    log.error("raft_client.rs:610", "connection aborted", { ...fields, receiver_err: why });
    log.error("raft_client.rs:952", "connection abort", fields);
    this.#options.failures.inc({ type: "unreachable", store_id: String(storeId) });
    this.#options.onUnreachable(storeId);
  }
}
