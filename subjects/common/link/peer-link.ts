import type { Clock } from "../../../harness/base/clock.ts";
import { errorText } from "../../../harness/base/errors.ts";
import type { Log } from "../../../harness/base/log.ts";
import { dial, type DialTarget } from "./dial.ts";
import type { LinkRules } from "./link-rules.ts";
import { PeerConnection, type Hello } from "./peer-connection.ts";

export interface PeerLinkOptions {
  readonly target: DialTarget;
  readonly hello: Hello;
  readonly rules: LinkRules;
  readonly clock: Clock;
  readonly log: Log;
  /** Frames that wait while the peer does not take them; the oldest go first. Default 16 MiB. */
  readonly maxQueueBytes?: number;
  /** Called when the connection comes up or is lost. */
  onState?(connected: boolean, why: string): void;
}

const RETRY_MS = 100;
const CONNECT_TIMEOUT_MS = 2_000;
/** A peer that answers no ping for this long is dialled anew: its address may lead elsewhere by now. */
const SILENCE_MS = 5_000;
const PING_MS = 1_000;
/** What has been given to the connection cannot be dropped any more. */
const MAX_TAKEN_BYTES = 256 << 10;

/**
 * One-way frames to one peer over a connection that is made again whenever it breaks. Frames may be lost, as Raft
 * permits, but are never reordered or repeated within a connection.
 */
export class PeerLink implements AsyncDisposable {
  readonly #options: PeerLinkOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #wake: (() => void) | null = null;
  #connected = false;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  get connected(): boolean {
    return this.#connected;
  }

  send(frame: Buffer): void {
    this.#queue.push(frame);
    this.#queuedBytes += frame.length;
    const max = this.#options.maxQueueBytes ?? 16 * 1024 * 1024;
    while (this.#queuedBytes > max && this.#queue.length > 1)
      this.#queuedBytes -= (this.#queue.shift() as Buffer).length;
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const why = await this.#session().catch(errorText);
      if (this.#connected) this.#options.onState?.(false, why);
      this.#connected = false;
      await clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }

  /** One connection, from dialling to its end. Returns or throws why it ended. */
  async #session(): Promise<string> {
    const { target, rules, clock, hello } = this.#options;
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, ended.signal]);
    const timeout = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
    const duplex = await dial(target, rules, AbortSignal.any([signal, timeout]));
    const connection = new PeerConnection(duplex);
    try {
      connection.sendHello(hello);
      let heardAt = clock.monotonic();
      const hear = async () => {
        for await (const _ of connection.frames("passed-on")) {
          heardAt = clock.monotonic();
          if (!this.#connected) this.#options.onState?.(true, "");
          this.#connected = true;
        }
        return "connection closed";
      };
      const ping = async () => {
        while (clock.monotonic() - heardAt < SILENCE_MS) {
          connection.ping();
          await clock.sleep(PING_MS, signal);
        }
        return "no answer";
      };
      return await Promise.race([hear(), ping(), this.#pump(connection, signal)]);
    } finally {
      ended.abort();
      connection.close();
    }
  }

  async #pump(connection: PeerConnection, signal: AbortSignal): Promise<string> {
    // Once for the session, not once a wait: listeners of a long session would add up.
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
    for (;;) {
      signal.throwIfAborted();
      const frames = this.#take();
      if (frames.length > 0) {
        if (!connection.send(frames)) await connection.drained(signal);
        continue;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
  }
  /** What waits, together: a turn of the loop sends all that it has for a peer in one piece. */
  #take(): Buffer[] {
    let [count, bytes] = [0, 0];
    while (count < this.#queue.length && bytes < MAX_TAKEN_BYTES) bytes += (this.#queue[count++] as Buffer).length;
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }
}
