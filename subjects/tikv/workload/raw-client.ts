import type { Client } from "@grpc/grpc-js";
import type { Clock } from "../../../harness/base/clock.ts";
import type { Random } from "../../../harness/base/random.ts";
import { addressBook } from "./addresses.ts";
import { backoffMs, BUSY, PD_UNREACHABLE, REGION_MISS, STORE_UNREACHABLE, type Backoff } from "./backoff.ts";
import { Deadline } from "./deadline.ts";
import { CallError, unary } from "./grpc-call.ts";
import { PdClient } from "./pd-client.ts";
import type { CachedRegion } from "./region-cache.ts";
import { isBeforeProposal, kindOf } from "./region-errors.ts";
import { RegionRouter } from "./region-router.ts";
import { StoreLinks } from "./store-links.ts";
import type { Peer, RawResponse, RegionError } from "./wire.ts";

export interface RawClientOptions {
  readonly pdEndpoints: readonly string[];
  readonly advertised: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** What came of one operation. `failed` = it certainly was not done; `unknown` = it may have been, or may yet be. */
export interface RawResult {
  readonly outcome: "ok" | "failed" | "unknown";
  /** What a read found; null = no such key, or not known. */
  readonly value: string | null;
  /** Class of what went wrong last; null when ok. */
  readonly error: string | null;
}

type Method = "RawGet" | "RawPut" | "RawDelete";

/** What one attempt taught: the answer, or why not, whether it was proposed, and how long to wait before the next. */
type Attempt = { readonly done: true; readonly response: RawResponse } | Missed;

interface Missed {
  readonly done: false;
  readonly error: string;
  readonly certain: boolean;
  readonly wait: number;
  readonly final?: true;
}

interface Route {
  readonly region: CachedRegion;
  readonly peer: Peer;
  readonly client: Client;
}

/** How many attempts in a row may follow an answer's hint without any wait, in case two peers point at each other. */
const HINTS_WITHOUT_WAIT = 3;

/** A healthy store answers well within this. */
const TELLING_TIMEOUT_MS = 200;

/**
 * TiKV's raw key-value API (V1) for one cluster. Safe for concurrent calls, which share routes and connections. Methods
 * never throw for what the cluster does: the result says it.
 */
export class RawClient implements Disposable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #deadlineMs: number;
  readonly #pd: PdClient;
  readonly #links: StoreLinks;
  readonly #router: RegionRouter;
  readonly #closed = new AbortController();

  constructor({ pdEndpoints, advertised, deadlineMs, clock, random }: RawClientOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#deadlineMs = deadlineMs;
    this.#pd = new PdClient({ endpoints: pdEndpoints, addresses: addressBook(advertised), clock, random });
    this.#links = new StoreLinks(this.#pd, clock);
    this.#router = new RegionRouter(this.#pd, this.#links, this.#closed.signal);
  }

  /** The same value may be sent several times, so a key must not be given two values at a time. */
  put(key: string, value: string, signal: AbortSignal): Promise<RawResult> {
    return this.#operation("RawPut", key, { value: Buffer.from(value) }, signal);
  }

  get(key: string, signal: AbortSignal): Promise<RawResult> {
    return this.#operation("RawGet", key, {}, signal);
  }

  delete(key: string, signal: AbortSignal): Promise<RawResult> {
    return this.#operation("RawDelete", key, {}, signal);
  }

  [Symbol.dispose](): void {
    this.#closed.abort(new CallError("cancelled", "the client is closed"));
    this.#links[Symbol.dispose]();
    this.#pd[Symbol.dispose]();
  }

  async #operation(method: Method, text: string, body: object, parent: AbortSignal): Promise<RawResult> {
    using deadline = new Deadline(this.#clock, this.#deadlineMs, parent);
    const key = Buffer.from(text);
    let certain = true;
    let error = "deadline";
    for (let number = 0; ; number++) {
      try {
        const attempt = await this.#attempt(method, key, body, number, deadline);
        if (attempt.done) return resultOf(attempt.response);
        certain &&= attempt.certain;
        error = attempt.error;
        if (attempt.final === true) break;
        if (attempt.wait > 0) await this.#clock.sleep(attempt.wait, deadline.signal);
      } catch (thrown) {
        if (!deadline.signal.aborted) throw thrown;
        break;
      }
      if (deadline.signal.aborted) break;
    }
    return { outcome: certain ? "failed" : "unknown", value: null, error };
  }

  /** @throws the deadline's reason while nothing was sent; once something was, the outcome is a value. */
  async #attempt(method: Method, key: Buffer, body: object, number: number, deadline: Deadline): Promise<Attempt> {
    const route = await this.#route(key, number, deadline.signal);
    if ("error" in route) return route;
    const { region, peer, client } = route;
    const request = { context: contextOf(region, peer), key, ...body };
    const timeoutMs = Math.max(1, Math.min(this.#deadlineMs / 2, deadline.remainingMs));
    let response: RawResponse;
    try {
      const options = { timeoutMs, clock: this.#clock, signal: deadline.signal };
      response = await unary<RawResponse>(client, method, request, options);
    } catch (thrown) {
      if (saysUnwell(thrown, timeoutMs)) this.#links.suspect(peer.store_id);
      return this.#again(codeOf(thrown), false, this.#wait(STORE_UNREACHABLE, number));
    }
    if (response.region_error === null) return { done: true, response };
    return this.#learn(region, peer, response.region_error, number);
  }

  /** Whom to ask; or why nobody can be asked now, e.g. because PD has just started and knows no region yet. */
  async #route(key: Buffer, number: number, signal: AbortSignal): Promise<Route | Missed> {
    let region: CachedRegion | null = null;
    try {
      region = await this.#router.locate(key, signal);
      const peer = this.#router.peerFor(region);
      if (number > 1) this.#router.refresh(region);
      if (peer === null) return this.#again("unavailable", true, this.#wait(STORE_UNREACHABLE, number));
      return { region, peer, client: await this.#links.client(peer.store_id, signal) };
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof CallError) || this.#closed.signal.aborted) throw thrown;
      if (region !== null) this.#router.drop(region);
      return this.#again(thrown.code, true, this.#wait(PD_UNREACHABLE, number));
    }
  }

  /** Every kind of region error, what it says about the route, and when to try again (`tikv-facts.md` §9). */
  #learn(region: CachedRegion, peer: Peer, regionError: RegionError, number: number): Attempt {
    const kind = kindOf(regionError);
    const certain = isBeforeProposal(kind);
    const hinted = number < HINTS_WITHOUT_WAIT ? 0 : this.#wait(REGION_MISS, number);
    switch (kind) {
      case "not_leader": {
        const known = this.#router.followLeader(region, regionError.not_leader?.leader ?? null);
        return this.#again(kind, certain, known ? hinted : this.#wait(STORE_UNREACHABLE, number));
      }
      case "epoch_not_match": {
        const current = regionError.epoch_not_match ?? { current_regions: [] };
        return this.#again(
          kind,
          certain,
          this.#router.adopt(region, current) ? hinted : this.#wait(REGION_MISS, number),
        );
      }
      case "store_not_match":
        this.#links.forget(peer.store_id);
        this.#router.drop(region);
        return this.#again(kind, certain, this.#wait(REGION_MISS, number));
      case "server_is_busy": {
        const asked = Number(regionError.server_is_busy?.backoff_ms ?? 0);
        return this.#again(kind, certain, Math.max(asked, this.#wait(BUSY, number)));
      }
      case "raft_entry_too_large":
        return { done: false, error: kind, certain, wait: 0, final: true };
      case "disk_full":
      case "read_index_not_ready":
        return this.#again(kind, certain, this.#wait(BUSY, number));
      case "region_not_found":
      case "key_not_in_region":
      case "mismatch_peer_id":
      case "stale_command":
      case "other":
        this.#router.drop(region);
        return this.#again(kind, certain, this.#wait(REGION_MISS, number));
    }
  }

  #again(error: string, certain: boolean, wait: number): Missed {
    return { done: false, error, certain, wait };
  }

  #wait(backoff: Backoff, number: number): number {
    return backoffMs(backoff, number, this.#random);
  }
}

function contextOf({ meta }: CachedRegion, peer: Peer): object {
  return { region_id: meta.id, region_epoch: meta.region_epoch, peer };
}

/** An attempt that had hardly any time left says nothing about the store. */
function saysUnwell(thrown: unknown, timeoutMs: number): boolean {
  return thrown instanceof CallError && (thrown.code !== "deadline" || timeoutMs >= TELLING_TIMEOUT_MS);
}

function codeOf(thrown: unknown): string {
  return thrown instanceof CallError ? thrown.code : "interrupted";
}

/** Text in `error` comes from behind the proposal: it may have happened. */
function resultOf({ error, value, not_found }: RawResponse): RawResult {
  if (error !== "") return { outcome: "unknown", value: null, error: "server_error" };
  const found = value !== undefined && not_found !== true ? value.toString() : null;
  return { outcome: "ok", value: found, error: null };
}
