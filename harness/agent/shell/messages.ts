import { z } from "zod";

/** Between the operator's program and its shell's helper, one JSON object a line. The helper's first line is `ready`. */
export const requestSchema = z.strictObject({
  id: z.int().min(1),
  command: z.string().min(1),
  timeoutMs: z.int().min(1).max(120_000),
  maxBytes: z.int().min(1).max(1_048_576),
});
export const cancelSchema = z.strictObject({ cancel: z.int().min(1) });
export const replySchema = z.strictObject({
  id: z.int().min(1),
  exitCode: z.int(),
  stdout: z.string(),
  stderr: z.string(),
  truncated: z.boolean(),
  timedOut: z.boolean(),
});

export type ShellRequest = Readonly<z.output<typeof requestSchema>>;
export type ShellReply = Readonly<z.output<typeof replySchema>>;
