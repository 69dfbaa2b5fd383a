import { APIError } from "@anthropic-ai/sdk";
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
  const client = clientOf(env);
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

/**
 * Before anything is started for it: is the key accepted? Asks for the model's description, which costs nothing. Only a
 * refused key counts; an API that is busy or does not know the question is the trial's to meet.
 *
 * @throws HarnessError `api-key-missing` when the API refuses the key.
 */
export async function requireAcceptedKey(
  env: Readonly<Record<string, string | undefined>>,
  model: string = DEFAULT_MODEL,
  signal: AbortSignal,
): Promise<void> {
  try {
    await clientOf(env).models.retrieve(model, {}, { signal, timeout: 15_000, maxRetries: 0 });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof APIError && (error.status === 401 || error.status === 403))
      throw new HarnessError(
        "api-key-missing",
        `the API refuses ANTHROPIC_API_KEY (${error.status}); set a valid key`,
        {
          cause: error,
        },
      );
  }
}

function clientOf(env: Readonly<Record<string, string | undefined>>) {
  const apiUrl = (env["ANTHROPIC_BASE_URL"] ?? "") === "" ? null : (env["ANTHROPIC_BASE_URL"] ?? null);
  return clientFor({ apiKey: env["ANTHROPIC_API_KEY"] ?? "", apiUrl }, { fetch: globalThis.fetch });
}
