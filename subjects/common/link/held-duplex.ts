import { Duplex } from "node:stream";
import type { LinkRules } from "./link-rules.ts";

export interface HeldDuplexOptions {
  readonly rules: LinkRules;
  /** Who is at the other end, as far as known by now; null = a client. Asked again on every change of the rules. */
  peer(): string | null;
}

/**
 * Passes bytes between a socket and its user, except while a rule stands between this node and the peer: then nothing
 * is read and nothing is written, in the manner of a network that drops packets. What was under way is kept and
 * delivered when the rule goes, never discarded. A user who gives up meanwhile is not seen to by the peer until then.
 *
 * Pausing the socket itself would have no effect once http2 owns it; hence a stream of our own in between.
 */
export function heldDuplex(socket: Duplex, options: HeldDuplexOptions): HeldDuplex {
  return new HeldDuplex(socket, options);
}

export class HeldDuplex extends Duplex {
  readonly #socket: Duplex;
  readonly #options: HeldDuplexOptions;
  readonly #unsubscribe: () => void;
  #held: boolean;
  /** Read from the socket before the rule came, not yet passed on. */
  #kept: Buffer[] = [];
  #keptEnd = false;
  #wanted = false;
  /** The one write, final or destroy that waits for the rule to go. */
  #waiting: (() => void)[] = [];

  constructor(socket: Duplex, options: HeldDuplexOptions) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#options = options;
    this.#held = options.rules.holds(options.peer());
    this.#unsubscribe = options.rules.onChange(() => this.reconsider());
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("end", () => this.#receiveEnd());
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
    socket.pause();
  }

  get held(): boolean {
    return this.#held;
  }

  /** Asks the rules again: after they changed, or after the peer has said who it is. */
  reconsider(): void {
    const held = this.#options.rules.holds(this.#options.peer());
    if (held === this.#held) return;
    this.#held = held;
    if (held) this.#socket.pause();
    else this.#release();
  }

  override _read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#whenOpen(() => this.#socket.write(chunk, done));
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#whenOpen(() => this.#socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done));
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#whenOpen(() => this.#socket.end(() => done()));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#waiting = [];
    this.#kept = [];
    if (!this.#held || this.#socket.destroyed) {
      this.#unsubscribe();
      this.#socket.destroy();
    } else {
      // The peer must not learn of it through a network that passes nothing.
      this.#waiting.push(() => {
        this.#unsubscribe();
        this.#socket.destroy();
      });
    }
    done(error);
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const act of waiting) act();
    this.#deliver();
  }

  #whenOpen(act: () => void): void {
    if (this.#held) this.#waiting.push(act);
    else act();
  }

  #receive(chunk: Buffer): void {
    if (this.#held || !this.#wanted) this.#kept.push(chunk);
    else if (!this.push(chunk)) this.#wanted = false;
    if (this.#held || !this.#wanted) this.#socket.pause();
  }

  #receiveEnd(): void {
    this.#keptEnd = true;
    this.#deliver();
  }

  #deliver(): void {
    if (this.#held || this.destroyed) return;
    while (this.#wanted && this.#kept.length > 0) {
      if (!this.push(this.#kept.shift())) this.#wanted = false;
    }
    if (this.#kept.length > 0) return;
    if (this.#keptEnd) {
      this.#keptEnd = false;
      this.push(null);
    } else if (this.#wanted) this.#socket.resume();
  }
}
