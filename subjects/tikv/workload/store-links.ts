import type { Client } from "@grpc/grpc-js";
import type { Clock } from "../../../harness/base/clock.ts";
import { HealthClientConstructor, TikvClientConstructor } from "../proto/load.ts";
import { CallError, dial, unary } from "./grpc-call.ts";
import { withSignal, type PdClient } from "./pd-client.ts";

const PROBE_EVERY_MS = 250;
const PROBE_TIMEOUT_MS = 1_000;
const SERVING = 1;

/**
 * Connections to stores. A store that did not answer is suspect until it answers `grpc.health.v1` on a *new*
 * connection: an old one to a frozen or cut-off store stays open and silent for as long as TCP pleases.
 */
export class StoreLinks implements Disposable {
  readonly #pd: Pick<PdClient, "storeAddress">;
  readonly #clock: Clock;
  /** What PD said, kept while PD is away; a failed question is asked again. */
  readonly #addresses = new Map<string, Promise<string>>();
  readonly #clients = new Map<string, Client>();
  readonly #suspects = new Set<string>();
  readonly #closed = new AbortController();

  constructor(pd: Pick<PdClient, "storeAddress">, clock: Clock) {
    this.#pd = pd;
    this.#clock = clock;
  }

  /** @throws CallError or the signal's reason when PD cannot say where the store is. */
  async client(storeId: string, signal: AbortSignal): Promise<Client> {
    const address = await withSignal(this.#address(storeId), signal);
    let client = this.#clients.get(storeId);
    if (client === undefined) this.#clients.set(storeId, (client = dial(TikvClientConstructor, address)));
    return client;
  }

  isSuspect(storeId: string): boolean {
    return this.#suspects.has(storeId);
  }

  suspect(storeId: string): void {
    if (this.#suspects.has(storeId) || this.#closed.signal.aborted) return;
    this.#suspects.add(storeId);
    this.#probeUntilAlive(storeId).catch(() => {});
  }

  /** Forgets where the store answers, so that the next use asks PD: its address belongs to another one now. */
  forget(storeId: string): void {
    this.#addresses.delete(storeId);
    this.#hangUp(storeId);
  }

  [Symbol.dispose](): void {
    this.#closed.abort(new CallError("cancelled", "the client is closed"));
    for (const storeId of [...this.#clients.keys()]) this.#hangUp(storeId);
  }

  #address(storeId: string): Promise<string> {
    let address = this.#addresses.get(storeId);
    if (address === undefined) {
      address = this.#pd.storeAddress(storeId, this.#closed.signal);
      this.#addresses.set(storeId, address);
      address.catch(() => this.#addresses.delete(storeId));
    }
    return address;
  }

  #hangUp(storeId: string): void {
    this.#clients.get(storeId)?.close();
    this.#clients.delete(storeId);
  }

  async #probeUntilAlive(storeId: string): Promise<void> {
    const signal = this.#closed.signal;
    // The silent connection goes now; what waits on it has its own deadline.
    this.#hangUp(storeId);
    for (;;) {
      await this.#clock.sleep(PROBE_EVERY_MS, signal);
      if (await this.#answers(storeId, signal)) break;
    }
    // A call that was under way may have dialled while the store was silent.
    this.#hangUp(storeId);
    this.#suspects.delete(storeId);
  }

  async #answers(storeId: string, signal: AbortSignal): Promise<boolean> {
    const address = await withSignal(this.#address(storeId), signal);
    const client = dial(HealthClientConstructor, address);
    try {
      const options = { timeoutMs: PROBE_TIMEOUT_MS, clock: this.#clock, signal };
      const { status } = await unary<{ status: number }>(client, "Check", { service: "" }, options);
      return status === SERVING;
    } catch (error) {
      signal.throwIfAborted();
      // A server without the health service has answered too.
      return error instanceof CallError && error.code === "unimplemented";
    } finally {
      client.close();
    }
  }
}
