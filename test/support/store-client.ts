import { credentials, type Client } from "@grpc/grpc-js";
import { systemClock } from "../../harness/base/clock.ts";
import { TikvClientConstructor } from "../../subjects/tikv/proto/load.ts";
import type { ReportedRegion, ScriptedPd } from "./scripted-pd.ts";

type Reply = Readonly<Record<string, unknown>> & {
  readonly region_error: Readonly<Record<string, unknown>> | null;
};

const RETRY_MS = 50;

/** Raw requests straight to the stores, routed by what a scripted PD has heard. */
export class StoreClient implements Disposable {
  readonly #pd: ScriptedPd;
  readonly #clients = new Map<string, Client>();

  constructor(pd: ScriptedPd) {
    this.#pd = pd;
  }

  regionOf(key: string): ReportedRegion {
    const bytes = Buffer.from(key);
    const found = [...this.#pd.regions.values()].find(
      ({ region }) =>
        region.start_key.compare(bytes) <= 0 && (region.end_key.length === 0 || bytes.compare(region.end_key) < 0),
    );
    if (found === undefined) throw new Error(`no region holds ${key}`);
    return found;
  }

  /** True once PD knows regions for both keys, and they differ. Between the reports of two halves one may be missing. */
  apart(one: string, other: string): boolean {
    try {
      return this.regionOf(one).region.id !== this.regionOf(other).region.id;
    } catch {
      return false;
    }
  }

  context({ region, leader }: ReportedRegion): object {
    return { region_id: region.id, region_epoch: region.region_epoch, peer: leader };
  }

  /** One attempt on one store. @throws the transport's error. */
  call(address: string, method: string, request: object, deadlineMs = 2_000): Promise<Reply> {
    const client = this.#clients.get(address) ?? new TikvClientConstructor(address, credentials.createInsecure());
    this.#clients.set(address, client);
    const rpc = (client as unknown as Record<string, (...args: unknown[]) => void>)[method];
    return new Promise((resolve, reject) => {
      rpc?.call(client, request, { deadline: Date.now() + deadlineMs }, (error: Error | null, reply: Reply) =>
        error === null ? resolve(reply) : reject(error),
      );
    });
  }

  /** Retries on the leader that PD knows until it is done. */
  async insist(key: string, method: string, request: object, withinMs = 20_000): Promise<Reply> {
    const deadline = systemClock.monotonic() + withinMs;
    for (;;) {
      let last: unknown;
      try {
        const at = this.regionOf(key);
        const address = this.#pd.stores.get(Number(at.leader.store_id))?.address ?? "";
        const reply = await this.call(address, method, { context: this.context(at), ...request }, 1_000);
        if (reply.region_error === null) return reply;
        last = reply.region_error["message"];
      } catch (error) {
        last = error;
      }
      if (systemClock.monotonic() > deadline) throw new Error(`${method} ${key} was not done: ${String(last)}`);
      await systemClock.sleep(RETRY_MS);
    }
  }

  async put(key: string, value: string): Promise<void> {
    await this.insist(key, "RawPut", { key: Buffer.from(key), value: Buffer.from(value) });
  }

  async get(key: string): Promise<string | null> {
    const reply = await this.insist(key, "RawGet", { key: Buffer.from(key) });
    return reply["not_found"] === true ? null : String(reply["value"]);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
  }
}
