import type Anthropic from "@anthropic-ai/sdk";
import { LimitExceeded } from "../../../base/errors.ts";
import type { Operator, OperatorContext, OperatorEnding, OperatorResult, Tool } from "../../../protocol.ts";
import { inputSchema } from "../../tool-schema.ts";
import { DEFAULT_MODEL, modelInfo, PRICES_AS_OF, type ModelInfo } from "../claude-models.ts";
import { MessagesApi, type ApiDeps, type ApiOptions } from "./api.ts";
import { Budget } from "./budget.ts";
import { Conversation } from "./conversation.ts";
import { incidentText, loadPrompt, quoted, systemText, type Prompt } from "./prompt.ts";
import type { Reply, ToolCall } from "./reply.ts";

export interface ClaudeOptions extends ApiOptions {
  /** Default: DEFAULT_MODEL. */
  readonly model: string | null;
}

/** @throws ConfigError for a model whose price is not known. */
export async function claude(options: ClaudeOptions, deps: ApiDeps): Promise<Operator> {
  const model = options.model ?? DEFAULT_MODEL;
  const info = modelInfo(model);
  const prompt = await loadPrompt();
  return {
    name: "claude",
    scripted: false,
    waitsForApi: true,
    details: { model, prompt: prompt.version, prices: PRICES_AS_OF },
    work: (context, signal) => new Session({ model, info, prompt, options, deps, context, signal }).work(),
  };
}

interface SessionParts {
  readonly model: string;
  readonly info: ModelInfo;
  readonly prompt: Prompt;
  readonly options: ApiOptions;
  readonly deps: ApiDeps;
  readonly context: OperatorContext;
  readonly signal: AbortSignal;
}

/** Old results go when a prompt is longer: what is sent again every turn is paid for every turn. */
const TRIM_ABOVE_TOKENS = 150_000;
/** Replies in a row that are of no use, before it is given up. */
const PATIENCE = 3;

const REMINDER =
  "You have not submitted a diagnosis. If your work is done, or you cannot go on, call submit_diagnosis now; otherwise go on.";
const TOO_LONG = "Your reply was cut because it was too long. Go on, in fewer words and with smaller tool inputs.";

class Session {
  readonly #parts: SessionParts;
  readonly #api: MessagesApi;
  readonly #budget: Budget;
  readonly #talk = new Conversation();
  readonly #request: Pick<Anthropic.MessageCreateParamsNonStreaming, "model" | "system" | "tools" | "thinking">;
  #reminded = false;
  #pauses = 0;
  #cut = 0;
  #refusals = 0;
  #malformed = 0;
  #known: number;

  constructor(parts: SessionParts) {
    const { context, info, model, prompt } = parts;
    this.#parts = parts;
    this.#api = new MessagesApi(parts.options, parts.deps);
    this.#budget = new Budget(context.limits, info, parts.deps.clock);
    this.#known = context.incident.tickets.length;
    this.#request = {
      model,
      system: [
        {
          type: "text",
          text: systemText(prompt, context.briefing, context.mode),
          cache_control: { type: "ephemeral" },
        },
      ],
      tools: context.tools.map(toolParam),
      // Text between tool calls comes as thinking; its summaries are the transcript's reasoning.
      ...(info.thinking === "adaptive" ? { thinking: { type: "adaptive", display: "summarized" } } : {}),
    };
  }

  async work(): Promise<OperatorResult> {
    const { context, signal } = this.#parts;
    this.#talk.add("user", [{ type: "text", text: incidentText(context.incident) }]);
    try {
      for (;;) {
        const ended = await this.#turn();
        if (ended !== null) return ended;
      }
    } catch (error) {
      this.#budget.settle();
      if (signal.reason instanceof LimitExceeded) return this.#end("limit", signal.reason.message);
      throw error;
    }
  }

  /** One request and what follows from it; null = go on. */
  async #turn(): Promise<OperatorResult | null> {
    const { signal } = this.#parts;
    const exhausted = this.#budget.exhausted(this.#api.waitedMs + this.#parts.context.waitedMs());
    if (exhausted !== null) return this.#end("limit", exhausted);
    if (this.#budget.promptTokens > Math.min(TRIM_ABOVE_TOKENS, this.#parts.info.contextTokens * 0.7))
      this.#talk.trim();
    this.#budget.turn();
    const answer = await this.#api.send(
      { ...this.#request, max_tokens: this.#budget.outputTokens(), messages: this.#talk.request() },
      this.#budget.spent,
      signal,
    );
    this.#budget.settle();
    switch (answer.kind) {
      case "reply":
        return await this.#react(answer.reply);
      case "unavailable":
        return this.#end("escalated", `the model's API was not available: ${answer.why}`);
      case "too-long":
        return this.#talk.trim() > 0 ? null : this.#end("limit", "the conversation does not fit the model's window");
      case "thinking-refused":
        return this.#talk.dropThinking() ? null : this.#end("failed", "the API refused the conversation's thinking");
    }
  }

  /** Every stop reason leads somewhere that has a name. */
  async #react(reply: Reply): Promise<OperatorResult | null> {
    for (const text of reply.texts) this.#parts.context.say(text);
    if (reply.stopReason === "refusal") return this.#refused(reply);
    if (reply.content.length > 0) this.#talk.add("assistant", reply.content);
    switch (reply.stopReason) {
      case "tool_use":
      case "end_turn":
      case "stop_sequence":
        return reply.calls.length > 0 ? await this.#carryOut(reply) : this.#silent();
      case "pause_turn":
        this.#pauses++;
        return this.#pauses > PATIENCE ? this.#end("failed", "the model paused again and again") : null;
      case "max_tokens":
        return await this.#wasCut(reply);
      case "model_context_window_exceeded":
        if (reply.calls.length > 0) {
          const ended = await this.#carryOut(reply);
          if (ended !== null) return ended;
        } else this.#talk.add("user", [{ type: "text", text: TOO_LONG }]);
        return this.#talk.trim() > 0 ? null : this.#end("limit", "the conversation does not fit the model's window");
      default:
        return this.#end("failed", `the model stopped for an unknown reason: ${reply.stopReason ?? "none given"}`);
    }
  }

  /** Nothing of a refused reply may go into the conversation; the same question may be answered the second time. */
  #refused(reply: Reply): OperatorResult | null {
    this.#refusals++;
    if (this.#refusals < 2) return null;
    return this.#end("escalated", `the model refused to go on${reply.refusal === null ? "" : `: ${reply.refusal}`}`);
  }

  #silent(): OperatorResult | null {
    const submitted = this.#submitted();
    if (submitted !== null) return submitted;
    if (this.#reminded) return this.#end("failed", "the model ended without a diagnosis, also after a reminder");
    this.#reminded = true;
    this.#talk.add("user", [{ type: "text", text: REMINDER }]);
    return null;
  }

  async #wasCut(reply: Reply): Promise<OperatorResult | null> {
    this.#cut++;
    if (this.#cut >= PATIENCE) return this.#end("limit", "the model's replies were too long again and again");
    if (reply.calls.length > 0) return await this.#carryOut(reply);
    if (reply.content.length === 0) return null;
    this.#talk.add("user", [{ type: "text", text: TOO_LONG }]);
    return null;
  }

  /** Runs all calls of one reply at once; the caller lets writes through one by one, in this order. */
  async #carryOut({ calls, stopReason }: Reply): Promise<OperatorResult | null> {
    const results = await Promise.all(calls.map((call) => this.#run(call)));
    this.#malformed = calls.some((call) => call.wellFormed) ? 0 : this.#malformed + 1;
    const submitted = this.#submitted();
    if (submitted !== null) return submitted;
    if (this.#malformed >= PATIENCE)
      return this.#end("escalated", "the model's tool inputs were malformed again and again");
    if (stopReason !== "max_tokens") this.#cut = 0;
    this.#talk.add("user", [...results, ...this.#news()]);
    return null;
  }

  async #run(call: ToolCall): Promise<Anthropic.ToolResultBlockParam> {
    const { context, signal } = this.#parts;
    const block = { type: "tool_result", tool_use_id: call.id } as const;
    if (!call.wellFormed)
      return { ...block, is_error: true, content: "not carried out: the input was not complete JSON; call it again" };
    const result = await context.call(call.name, call.input, signal);
    return { ...block, is_error: result.isError, content: quoted("tool_output", result.text) };
  }

  /** Tickets that have joined the incident since the model was told of it. */
  #news(): readonly Anthropic.TextBlockParam[] {
    const { incident } = this.#parts.context;
    const joined = incident.tickets.slice(this.#known);
    if (joined.length === 0) return [];
    this.#known = incident.tickets.length;
    return [{ type: "text", text: `More was reported meanwhile. ${incidentText({ ...incident, tickets: joined })}` }];
  }

  #submitted(): OperatorResult | null {
    const diagnosis = this.#parts.context.submitted();
    return diagnosis === null ? null : this.#end(diagnosis.ending, diagnosis.explanation);
  }

  #end(ending: OperatorEnding, reason: string): OperatorResult {
    return { ending, reason, diagnosis: this.#parts.context.submitted(), usage: this.#budget.usage() };
  }
}

function toolParam(tool: Tool): Anthropic.Tool {
  const input_schema = inputSchema(tool) as Anthropic.Tool.InputSchema;
  return { name: tool.name, description: tool.description, input_schema };
}
