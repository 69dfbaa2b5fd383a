import type Anthropic from "@anthropic-ai/sdk";
import type { TokenUsage } from "../claude-models.ts";

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
  /** False = what the model wrote was not JSON, or was cut. */
  readonly wellFormed: boolean;
}

/** One whole reply of the model. */
export interface Reply {
  /** As it is sent back with the next request. */
  readonly content: readonly Anthropic.ContentBlockParam[];
  readonly calls: readonly ToolCall[];
  readonly texts: readonly string[];
  readonly stopReason: string | null;
  readonly refusal: string | null;
}

/** The stream ended before the reply did. */
export class CutStream extends Error {}

/**
 * Puts a reply together from its events. `spent` gets the usage as it becomes known, so that a reply that is cut is
 * still paid for in our books.
 *
 * @throws CutStream; whatever the stream throws.
 */
export async function readReply(
  events: AsyncIterable<Anthropic.RawMessageStreamEvent>,
  spent: (usage: TokenUsage) => void,
): Promise<Reply> {
  const blocks: Block[] = [];
  let stopReason: string | null = null;
  let refusal: string | null = null;
  let ended = false;
  const block = (index: number): Block => {
    const found = blocks[index];
    if (found === undefined) throw new CutStream(`an event for block ${index}, which never began`);
    return found;
  };
  for await (const event of events) {
    switch (event.type) {
      case "message_start":
        spent(usageOf(event.message.usage));
        break;
      case "content_block_start":
        blocks[event.index] = { start: event.content_block, text: "", signature: "", json: "" };
        break;
      case "content_block_delta":
        extend(block(event.index), event.delta);
        break;
      case "message_delta":
        stopReason = event.delta.stop_reason;
        refusal = event.delta.stop_details?.explanation ?? event.delta.stop_details?.category ?? null;
        // Cumulative: it replaces what the start said.
        spent(usageOf(event.usage));
        break;
      case "message_stop":
        ended = true;
        break;
      case "content_block_stop":
        break;
    }
  }
  if (!ended) throw new CutStream("the stream ended before the reply did");
  const calls = blocks.flatMap((one) => toolCall(one));
  return {
    content: blocks.map((one) => param(one)),
    calls,
    texts: blocks.flatMap((one) => words(one)),
    stopReason,
    refusal,
  };
}

interface Block {
  readonly start: Anthropic.RawContentBlockStartEvent["content_block"];
  text: string;
  signature: string;
  json: string;
}

function extend(block: Block, delta: Anthropic.RawContentBlockDelta): void {
  if (delta.type === "text_delta") block.text += delta.text;
  else if (delta.type === "thinking_delta") block.text += delta.thinking;
  else if (delta.type === "signature_delta") block.signature += delta.signature;
  else if (delta.type === "input_json_delta") block.json += delta.partial_json;
}

function toolCall({ start, json }: Block): readonly ToolCall[] {
  if (start.type !== "tool_use") return [];
  const call = { id: start.id, name: start.name };
  if (json === "") return [{ ...call, input: start.input ?? {}, wellFormed: true }];
  try {
    return [{ ...call, input: JSON.parse(json) as unknown, wellFormed: true }];
  } catch {
    return [{ ...call, input: json, wellFormed: false }];
  }
}

function param(block: Block): Anthropic.ContentBlockParam {
  const { start } = block;
  switch (start.type) {
    case "text":
      return { type: "text", text: start.text + block.text };
    case "thinking":
      return { type: "thinking", thinking: start.thinking + block.text, signature: start.signature + block.signature };
    case "tool_use": {
      const [call] = toolCall(block);
      // Input that is not JSON cannot be sent back: the API wants an object there, and the result says what was wrong.
      return { type: "tool_use", id: start.id, name: start.name, input: call?.wellFormed === true ? call.input : {} };
    }
    default:
      return start as Anthropic.ContentBlockParam;
  }
}

function words({ start, text }: Block): readonly string[] {
  const whole = start.type === "text" ? start.text + text : start.type === "thinking" ? start.thinking + text : "";
  return whole.trim() === "" ? [] : [whole];
}

function usageOf(usage: Anthropic.Usage | Anthropic.MessageDeltaUsage): TokenUsage {
  return {
    inputTokens: usage.input_tokens ?? 0,
    outputTokens: usage.output_tokens,
    cacheReadTokens: usage.cache_read_input_tokens ?? 0,
    cacheWriteTokens: usage.cache_creation_input_tokens ?? 0,
  };
}
