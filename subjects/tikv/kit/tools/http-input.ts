import { z } from "zod";
import type { ToolResult } from "../../../../harness/protocol.ts";
import type { HttpAnswer } from "../clients/http.ts";

/** Path and query as they are sent. Dot segments would let a path mean another one than it says. */
export const pathInput = z
  .string()
  .max(2_048)
  .regex(/^\/[A-Za-z0-9/_.,~%=&?:@+-]*$/, "a path such as /pd/api/v1/stores?state=0")
  .refine((path) => !/(^|\/)(\.|%2e){1,2}(\/|$|\?)/i.test(path) && !path.includes("//"), {
    error: "a path without dot segments or empty ones",
  });

export const bodyInput = z
  .union([z.string(), z.record(z.string(), z.unknown()), z.array(z.unknown())])
  .optional()
  .describe("JSON; a text is sent as it is");

export function bodyText(body: z.output<typeof bodyInput>): string | undefined {
  return body === undefined || typeof body === "string" ? body : JSON.stringify(body);
}

/** Servers answer errors with any status and any body: both are shown, and only 2xx counts as done. */
export function answerResult(from: string, answer: HttpAnswer): ToolResult {
  const ok = answer.status >= 200 && answer.status < 300;
  const body = answer.text.trim() === "" ? "(empty body)" : answer.text.trim();
  return { text: `${from} answered ${answer.status}\n${body}`, isError: !ok };
}
