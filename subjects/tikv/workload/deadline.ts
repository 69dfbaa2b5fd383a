import { setMaxListeners } from "node:events";
import type { Clock } from "../../../harness/base/clock.ts";
import { CallError } from "./grpc-call.ts";

/** A signal that aborts with `CallError("deadline")` after `ms`, or when `parent` does. Dispose it when done. */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #done = new AbortController();
  readonly #parent: AbortSignal;
  readonly #onParent: () => void;
  readonly #endsAt: number;
  readonly #clock: Clock;

  constructor(clock: Clock, ms: number, parent: AbortSignal) {
    this.#clock = clock;
    this.#parent = parent;
    this.#endsAt = clock.monotonic() + ms;
    // Not AbortSignal.any: the parent lives as long as the program, and thousands of children pass through here.
    this.#onParent = () => this.#controller.abort(parent.reason);
    // Hundreds of operations share a parent by design; Node's leak warning starts at ten.
    setMaxListeners(0, parent, this.#controller.signal);
    if (parent.aborted) this.#onParent();
    else parent.addEventListener("abort", this.#onParent, { once: true });
    clock.sleep(ms, this.#done.signal).then(
      () => this.#controller.abort(new CallError("deadline", `no answer within ${ms} ms`)),
      () => {},
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get remainingMs(): number {
    return Math.max(0, this.#endsAt - this.#clock.monotonic());
  }

  [Symbol.dispose](): void {
    this.#parent.removeEventListener("abort", this.#onParent);
    this.#done.abort();
  }
}
