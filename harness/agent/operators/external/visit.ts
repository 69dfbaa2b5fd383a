import type { Effect, OperatorContext, OperatorEnding, OperatorResult } from "../../../protocol.ts";
import type { Admission } from "../../../../tickets/index.ts";
import { noUsage } from "../../limits.ts";
import type { DoorReply } from "./door-contract.ts";

/** One incident that somebody from outside works on: counts their calls, knows when it is over. */
export class Visit {
  readonly context: OperatorContext;
  readonly #signal: AbortSignal;
  readonly #ended = Promise.withResolvers<OperatorResult>();
  #calls = 0;
  #over = false;

  constructor(context: OperatorContext, signal: AbortSignal) {
    this.context = context;
    this.#signal = signal;
    const stop = () => this.#ended.reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    this.#ended.promise.catch(() => {});
  }

  /** Resolves when a diagnosis was submitted or a limit reached. @throws the signal's reason */
  get ended(): Promise<OperatorResult> {
    return this.#ended.promise;
  }

  /** Runs one call as every operator's: same checks, same transcript. @throws as `OperatorContext.call`. */
  async call(tool: string, input: unknown, admission: Pick<Admission, "scopes">): Promise<DoorReply> {
    if (this.#over) return { text: "the work on this incident has ended", isError: true, over: true };
    const { limits } = this.context;
    if (this.#calls >= limits.turns) {
      const reason = `turn limit reached: ${this.#calls} of ${limits.turns} calls`;
      this.#end("limit", reason);
      return { text: reason, isError: true, over: true };
    }
    this.#calls++;
    const effect = this.#effectOf(tool, input);
    if (effect !== null && !admission.scopes.includes(effect)) {
      const text = `not allowed: this call is ${effect}, the token is good for ${admission.scopes.join(", ")}`;
      this.context.say(`refused at the door: ${tool} ${JSON.stringify(input)}: ${text}`);
      return { text, isError: true, over: false };
    }
    // A client that hangs up does not stop what it has asked for: a write in its middle would end as "unknown".
    const { text, isError } = await this.context.call(tool, input, this.#signal);
    const submitted = this.context.submitted();
    if (submitted !== null) this.#end(submitted.ending, submitted.explanation);
    return { text, isError, over: this.#over };
  }

  #effectOf(name: string, input: unknown): Effect | null {
    const tool = this.context.tools.find((known) => known.name === name);
    const read = tool?.input.safeParse(input ?? {});
    return tool !== undefined && read?.success === true ? tool.effect(read.data) : null;
  }

  #end(ending: OperatorEnding, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended.resolve({
      ending,
      reason,
      diagnosis: this.context.submitted(),
      usage: { ...noUsage, turns: this.#calls },
    });
  }
}
