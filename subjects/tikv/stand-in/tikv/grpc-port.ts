import type { Clock } from "../../../../harness/base/clock.ts";
import type { OnePortServer } from "../../../common/one-port/one-port-server.ts";
import type { NodeLog } from "../node-log.ts";

/**
 * The port of the gRPC service, which clients and other stores use. While it is paused the port is closed and every
 * connection through it is gone, as TiKV drops its gRPC server (tikv/tikv:src/server/server.rs, `pause`); the status
 * port and the heartbeats to PD go on.
 */
export class GrpcPort {
  readonly #open: () => Promise<OnePortServer>;
  readonly #clock: Clock;
  readonly #log: NodeLog;
  #server: OnePortServer | null = null;
  #paused = false;

  constructor(open: () => Promise<OnePortServer>, clock: Clock, log: NodeLog) {
    this.#open = open;
    this.#clock = clock;
    this.#log = log;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** @throws HarnessError `port-taken` */
  async open(): Promise<void> {
    this.#server = await this.#open();
  }

  /** A second time: nothing happens. */
  async pause(): Promise<void> {
    if (this.#paused) return;
    const started = this.#clock.monotonic();
    this.#paused = true;
    await this.close();
    this.#log.info("server.rs:478", "paused the grpc server", { takes: this.#took(started) });
  }

  /** A second time: nothing happens. @throws HarnessError `port-taken` */
  async resume(): Promise<void> {
    if (!this.#paused) return;
    const started = this.#clock.monotonic();
    await this.open();
    this.#paused = false;
    this.#log.info("server.rs:489", "resumed the grpc server", { takes: this.#took(started) });
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    await server?.close();
  }

  #took(started: number): string {
    return `${(this.#clock.monotonic() - started).toFixed(3)}ms`;
  }
}
