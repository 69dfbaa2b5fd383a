/** What is spoken at the door of an external session: HTTP and JSON over a Unix socket, a bearer token with each request. */
import { z } from "zod";
import { SAFETY_MODES } from "../../../base/safety-mode.ts";

const effect = z.enum(["read", "write", "destructive"]);

/** `GET /incident`: everything that an operator meets. */
export const welcomeSchema = z.object({
  incident: z.object({
    batchKey: z.string(),
    attempt: z.number(),
    tickets: z.array(z.record(z.string(), z.unknown())),
  }),
  mode: z.enum(SAFETY_MODES),
  limits: z.object({ turns: z.number(), workingMs: z.number() }),
  briefing: z.string(),
  runbooks: z.array(z.object({ name: z.string(), text: z.string() })),
  tools: z.array(
    z.object({ name: z.string(), description: z.string(), inputSchema: z.record(z.string(), z.unknown()) }),
  ),
  /** Of the token that asked. */
  scopes: z.array(effect),
});
export type Welcome = z.output<typeof welcomeSchema>;

/** `POST /client`: who has come, for the transcript. */
export const clientSchema = z.strictObject({ name: z.string().max(200), version: z.string().max(100) });

/** `POST /call`. */
export const callSchema = z.strictObject({ tool: z.string().max(100), input: z.unknown() });

export const replySchema = z.object({
  text: z.string(),
  isError: z.boolean(),
  /** The work on this incident has ended; nothing more will be carried out. */
  over: z.boolean(),
});
export type DoorReply = z.output<typeof replySchema>;
