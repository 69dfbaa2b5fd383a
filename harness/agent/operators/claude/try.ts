import { HarnessError } from "../../../base/errors.ts";
import { DEFAULT_MODEL, modelInfo } from "../claude-models.ts";
import { clientFor, describe } from "./api.ts";

/**
 * One call that costs next to nothing: are the key, the address and the model right? For `lab doctor`.
 *
 * @returns what was found, one line. @throws HarnessError `api-failed` with the API's own words; ConfigError.
 */
export async function tryClaude(
  env: Readonly<Record<string, string | undefined>>,
  model: string = DEFAULT_MODEL,
  signal: AbortSignal,
): Promise<string> {
  modelInfo(model);
  const apiUrl = (env["ANTHROPIC_BASE_URL"] ?? "") === "" ? null : (env["ANTHROPIC_BASE_URL"] ?? null);
  const client = clientFor({ apiKey: env["ANTHROPIC_API_KEY"] ?? "", apiUrl }, { fetch: globalThis.fetch });
  try {
    const reply = await client.messages.create(
      { model, max_tokens: 16, messages: [{ role: "user", content: "Answer with the word yes." }] },
      { signal, timeout: 30_000 },
    );
    const { input_tokens: input, output_tokens: output } = reply.usage;
    return `${reply.model} answers (${input} tokens in, ${output} out)`;
  } catch (error) {
    signal.throwIfAborted();
    throw new HarnessError("api-failed", `${model}: ${describe(error)}`, { cause: error });
  }
}
