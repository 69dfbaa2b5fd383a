import type Anthropic from "@anthropic-ai/sdk";

/** Results that are kept whole when older ones have to go. */
const KEPT_RESULTS = 6;
/** Shorter ones are not worth cutting. */
const SHORT_CHARS = 400;

interface Message {
  readonly role: "user" | "assistant";
  readonly content: Anthropic.ContentBlockParam[];
}

/**
 * The messages so far. It only grows, except when it would outgrow the window: then old results make way for a marker,
 * all at once and not one per turn, because every change of what was sent makes the cached prefix worthless.
 */
export class Conversation {
  #messages: Message[] = [];

  add(role: "user" | "assistant", content: readonly Anthropic.ContentBlockParam[]): void {
    this.#messages.push({ role, content: [...content] });
  }

  /** As sent: the last block marked, so that everything up to it is read from the cache next time. */
  request(): Anthropic.MessageParam[] {
    return this.#messages.map(({ role, content }, index) => ({
      role,
      content: index === this.#messages.length - 1 ? marked(content) : content,
    }));
  }

  /**
   * Cuts old results. @returns how many; 0 = there is nothing left to cut.
   *
   * Thinking blocks go with them: newer models bind each to everything before it, and refuse it after a change
   * (Claude docs, "Preserved thinking").
   */
  trim(): number {
    const results = this.#messages.flatMap(({ content }) => content).filter((block) => block.type === "tool_result");
    const old = new Set<Anthropic.ContentBlockParam>(
      results
        .slice(0, -KEPT_RESULTS)
        .filter(({ content }) => typeof content === "string" && content.length > SHORT_CHARS),
    );
    if (old.size === 0) return 0;
    this.#messages = this.#messages.map(({ role, content }) => ({
      role,
      content: withoutThinking(content).map((block) =>
        block.type === "tool_result" && old.has(block)
          ? {
              ...block,
              content: `[${block.content?.length ?? 0} characters of an older answer left out; ask again if needed]`,
            }
          : block,
      ),
    }));
    return old.size;
  }

  /** For a prefix that the API no longer takes for the one in which they were made. @returns false = there were none. */
  dropThinking(): boolean {
    const had = this.#messages.some(({ content }) => content.some(isThinking));
    this.#messages = this.#messages.map(({ role, content }) => ({ role, content: withoutThinking(content) }));
    return had;
  }
}

const isThinking = ({ type }: Anthropic.ContentBlockParam) => type === "thinking" || type === "redacted_thinking";

/** An empty message is refused, so one that was nothing but thinking says so. */
function withoutThinking(content: readonly Anthropic.ContentBlockParam[]): Anthropic.ContentBlockParam[] {
  const rest = content.filter((block) => !isThinking(block));
  return rest.length === 0 ? [{ type: "text", text: "(thinking left out)" }] : rest;
}

function marked(content: readonly Anthropic.ContentBlockParam[]): Anthropic.ContentBlockParam[] {
  return content.map((block, index) =>
    index === content.length - 1 && (block.type === "text" || block.type === "tool_result")
      ? { ...block, cache_control: { type: "ephemeral" as const } }
      : block,
  );
}
