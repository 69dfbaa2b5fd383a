import { z } from "zod";
import { errorText, HarnessError, type ErrorCode } from "../base/errors.ts";
import type { Effect, SafetyMode, Tool, ToolResult } from "../protocol.ts";
import { boundText, readableText } from "./output.ts";
import type { PeopleAsked, Permission } from "./propose.ts";
import { refused } from "./tools/shared.ts";
import type { Transcript } from "./transcript.ts";

export interface CallerOptions {
  readonly tools: readonly Tool[];
  readonly mode: SafetyMode;
  readonly transcript: Transcript;
  /** Who is asked about each write in mode `propose`; null = nobody, and no write is carried out. */
  readonly people?: PeopleAsked | null;
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

/** Ends the work: it waits for the writes that were asked for before it, and none is begun after it. */
const LAST_WORD = "submit_diagnosis";
const OVER = "not done: the diagnosis was submitted, the work has ended";

/**
 * The only way from an operator to the world: validates, refuses what the safety mode forbids, lets one write run at a
 * time and none after the last word, asks for the lease just before each, writes the transcript, bounds what comes back. A failure that is not the
 * tool's own aborts the session first and is thrown second, so that it never reaches the model as text.
 */
export function createCaller(options: CallerOptions): Call {
  const { tools, mode, transcript, checkLease, abort, people = null } = options;
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  let writes: Promise<unknown> = Promise.resolve();
  let over = false;

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

  /** What has to be settled before a call may begin: null = nothing. */
  const permissionFor = async ({ tool, input, effect }: Known, signal: AbortSignal): Promise<Permission | null> => {
    if (tool === undefined || effect === null || effect === "read") return null;
    if (over) return { ok: false, why: OVER };
    if (mode !== "propose") return null;
    if (people === null) return { ok: false, why: "not allowed: nobody is there to approve it" };
    const call = { tool: tool.name, input: input.data, effect };
    return await people.permission(
      call,
      ({ id }) =>
        transcript.reasoning(`proposed, waits for a person (${id}): ${tool.name} ${JSON.stringify(call.input)}`),
      signal,
    );
  };

  const run = async (name: string, raw: unknown, known: Known, signal: AbortSignal): Promise<ToolResult> => {
    const { tool, input, effect } = known;
    // First: the call begins when it may begin, so that its start is the time of the act.
    const permission = await permissionFor(known, signal);
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
    if (permission?.ok === false) return await finish(refused(permission.why));
    let result: ToolResult;
    const perform = () => act(tool, input.data, effect, signal);
    try {
      result = permission === null || people === null ? await perform() : await people.carryOut(permission.id, perform);
    } catch (error) {
      await finish(refused(`stopped: ${errorText(error)}`));
      throw error;
    }
    over ||= name === LAST_WORD && !result.isError;
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
    if (effect === null || (effect === "read" && name !== LAST_WORD)) return await begin();
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
