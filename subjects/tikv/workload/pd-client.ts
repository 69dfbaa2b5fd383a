import type { Client } from "@grpc/grpc-js";
import type { Clock } from "../../../harness/base/clock.ts";
import { errorText } from "../../../harness/base/errors.ts";
import type { Random } from "../../../harness/base/random.ts";
import { PdClientConstructor } from "../proto/load.ts";
import type { AddressBook } from "./addresses.ts";
import { backoffMs, PD_UNREACHABLE } from "./backoff.ts";
import { CallError, dial, unary } from "./grpc-call.ts";
import type { GetMembersResponse, GetRegionResponse, GetStoreResponse, Peer, RegionMeta } from "./wire.ts";

const CALL_TIMEOUT_MS = 1_000;

export interface PdClientOptions {
  readonly endpoints: readonly string[];
  readonly addresses: AddressBook;
  readonly clock: Clock;
  readonly random: Random;
}

export interface RoutedRegion {
  readonly region: RegionMeta;
  readonly leader: Peer | null;
}

/** PD's answers to a client: where a key is and where a store answers. Finds the leader among the members by itself. */
export class PdClient implements Disposable {
  readonly #addresses: AddressBook;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Where members answer, as dialled from here. Grows with what members say, never shrinks. */
  readonly #endpoints: Set<string>;
  readonly #clients = new Map<string, Client>();
  #leader: string | null = null;
  #clusterId = "0";
  #searching: Promise<void> | null = null;

  constructor({ endpoints, addresses, clock, random }: PdClientOptions) {
    this.#addresses = addresses;
    this.#clock = clock;
    this.#random = random;
    this.#endpoints = new Set(endpoints.map((endpoint) => addresses(endpoint)));
  }

  /** @throws CallError when no leader answered before `signal` aborted its wait; its reason then. */
  async region(key: Buffer, signal: AbortSignal): Promise<RoutedRegion> {
    const { region, leader } = await this.#ask<GetRegionResponse>("GetRegion", { region_key: key }, signal);
    if (region === null) throw new CallError("no_region", "PD knows no region for this key");
    return { region, leader: leader !== null && leader.id !== "0" ? leader : null };
  }

  /** The address to dial for a store. */
  async storeAddress(storeId: string, signal: AbortSignal): Promise<string> {
    const { store } = await this.#ask<GetStoreResponse>("GetStore", { store_id: storeId }, signal);
    if (store === null || store.address === "") throw new CallError("no_store", `PD knows no store ${storeId}`);
    return this.#addresses(store.address);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
  }

  /** Asks the leader; searches it again after every failure, until an answer or until the signal aborts. */
  async #ask<R extends { readonly header: GetRegionResponse["header"] }>(
    method: string,
    request: object,
    signal: AbortSignal,
  ): Promise<R> {
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      if (this.#leader === null) await this.#findLeader(signal);
      const asked = this.#leader;
      try {
        if (asked === null) throw new CallError("no_pd_leader", "no PD member names a leader that answers");
        const body = { header: { cluster_id: this.#clusterId }, ...request };
        const answer = await this.#call<R>(asked, method, body, signal);
        const error = answer.header?.error;
        if (error !== undefined && error !== null && error.type !== 0) throw new CallError("pd_error", error.message);
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof CallError)) throw error;
        if (this.#leader === asked) this.#leader = null;
        await this.#clock.sleep(backoffMs(PD_UNREACHABLE, attempt, this.#random), signal);
      }
    }
  }

  /** One search at a time, whoever asks. */
  async #findLeader(signal: AbortSignal): Promise<void> {
    this.#searching ??= this.#search().finally(() => (this.#searching = null));
    await withSignal(this.#searching, signal);
  }

  /**
   * Asks every member at once who leads. An old leader that was frozen still names itself for a while
   * (`tikv-facts.md` §10), so the one that most members name wins, and among equals one that answered.
   */
  async #search(): Promise<void> {
    const endpoints = [...this.#endpoints];
    const never = new AbortController().signal;
    const answers = await Promise.allSettled(
      endpoints.map((endpoint) => this.#call<GetMembersResponse>(endpoint, "GetMembers", {}, never)),
    );
    const votes = new Map<string, number>();
    answers.forEach((answer, index) => {
      if (answer.status !== "fulfilled") return;
      const { header, members, leader } = answer.value;
      if (header !== null && header.cluster_id !== "0") this.#clusterId = header.cluster_id;
      for (const member of members) for (const url of member.client_urls) this.#endpoints.add(this.#addresses(url));
      const url = leader?.client_urls[0];
      if (url === undefined) return;
      const named = this.#addresses(url);
      votes.set(named, (votes.get(named) ?? 0) + 1 + (endpoints[index] === named ? 0.5 : 0));
    });
    this.#leader = [...votes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
  }

  #call<R>(endpoint: string, method: string, request: object, signal: AbortSignal): Promise<R> {
    let client = this.#clients.get(endpoint);
    if (client === undefined) this.#clients.set(endpoint, (client = dial(PdClientConstructor, endpoint)));
    return unary<R>(client, method, request, { timeoutMs: CALL_TIMEOUT_MS, clock: this.#clock, signal }).catch(
      (error: unknown) => {
        // A connection to a member that hangs or was cut off may never report its end: dial anew next time.
        if (error instanceof CallError && error.code === "deadline" && this.#clients.get(endpoint) === client) {
          this.#clients.delete(endpoint);
          client.close();
        }
        throw error instanceof Error ? error : new Error(errorText(error));
      },
    );
  }
}

/** Waits for shared work without owning it: an abort ends the wait, not the work. */
export async function withSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
