import { z } from "zod";
import { errorText, HarnessError, type ErrorCode } from "../base/errors.ts";
import type { Effect, SafetyMode, Tool, ToolResult } from "../protocol.ts";
import { boundText, readableText } from "./output.ts";
import { refused } from "./tools/shared.ts";
import type { Transcript } from "./transcript.ts";

export interface CallerOptions {
  readonly tools: readonly Tool[];
  readonly mode: SafetyMode;
  readonly transcript: Transcript;
  /** Asked just before every act. @throws LeaseLostError when holder or attempt is no longer ours. */
  checkLease(): Promise<void> | void;
  /** Ends the work at once: called before the lab's own failure is thrown. */
  abort(reason: unknown): void;
}

export type Call = (tool: string, input: unknown, signal: AbortSignal) => Promise<ToolResult>;

/** What a tool may throw that is an answer to the operator: the component, its state or its engine refuses. */
const ANSWERS: readonly ErrorCode[] = [
  "not-found",
  "not-supported",
  "wrong-state",
  "engine-failed",
  "image-missing",
  "timeout",
  "subject-failed",
];

/**
 * The only way from an operator to the world: validates, refuses what the safety mode forbids, lets one write run at a
 * time, asks for the lease just before each, writes the transcript, bounds what comes back. A failure that is not the
 * tool's own aborts the session first and is thrown second, so that it never reaches the model as text.
 */
export function createCaller(options: CallerOptions): Call {
  const { tools, mode, transcript, checkLease, abort } = options;
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  let writes: Promise<unknown> = Promise.resolve();

  const act = async (tool: Tool, input: unknown, effect: Effect, signal: AbortSignal): Promise<ToolResult> => {
    signal.throwIfAborted();
    if (effect !== "read") await checkLease();
    try {
      return await tool.run(input, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof HarnessError && ANSWERS.includes(error.code)) return refused(error.message);
      throw error;
    }
  };

  const run = async (name: string, raw: unknown, known: Known, signal: AbortSignal): Promise<ToolResult> => {
    const { tool, input, effect } = known;
    const begun = await transcript.call(name, raw, effect);
    const finish = async (result: ToolResult): Promise<ToolResult> => {
      const text = readableText(result.text);
      const exitCode = result.exitCode ?? (result.isError ? 1 : 0);
      await transcript.result(begun, { tool: name, params: raw, effect, text, exitCode });
      return { text: boundText(text), isError: result.isError, exitCode };
    };
    if (tool === undefined)
      return await finish(refused(`there is no tool ${name}; there are: ${[...byName.keys()].join(", ")}`));
    if (effect === null)
      return await finish(refused(`invalid input: ${input.success ? "" : z.prettifyError(input.error)}`));
    if (effect !== "read" && mode === "observe")
      return await finish(refused(`not allowed in observe mode: this call is ${effect}, only reading is`));
    let result: ToolResult;
    try {
      result = await act(tool, input.data, effect, signal);
    } catch (error) {
      await finish(refused(`stopped: ${errorText(error)}`));
      throw error;
    }
    return await finish(result);
  };

  return async (name, raw, signal) => {
    const tool = byName.get(name);
    const input = (tool?.input ?? z.unknown()).safeParse(raw ?? {});
    const effect = tool !== undefined && input.success ? tool.effect(input.data) : null;
    const begin = async (): Promise<ToolResult> => {
      try {
        return await run(name, raw, { tool, input, effect }, signal);
      } catch (error) {
        // Aborting first: whoever hands thrown errors to a model must find the session over already.
        if (!signal.aborted) abort(error);
        throw error;
      }
    };
    if (effect === null || effect === "read") return await begin();
    // Writes wait for each other even when the model asks for several at once, in the order in which it asked.
    const turn = writes.then(begin, begin);
    writes = turn.catch(() => {});
    return await turn;
  };
}

interface Known {
  readonly tool: Tool | undefined;
  readonly input: z.ZodSafeParseResult<unknown>;
  readonly effect: Effect | null;
}
