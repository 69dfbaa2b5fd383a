/** What is spoken between an agent and the terminal of a person who is elsewhere: one JSON object a line. */
import { dirname, join } from "node:path";
import { z } from "zod";

/** In the folder of doors, `DOOR_DIR`. */
export const TERMINAL_SOCKET = "terminal.sock";

/** Where the agent's containers have it: the compose files in `docker/agent` put that folder beside the ticket file. */
export const terminalOf = (ticketFile: string): string => join(dirname(ticketFile), "doors", TERMINAL_SOCKET);

/** To the person. Whatever comes ends the question that was there. */
export const toPerson = z.discriminatedUnion("type", [
  z.object({ type: z.literal("say"), text: z.string() }),
  z.object({ type: z.literal("ask"), question: z.string(), number: z.number() }),
  /** Nobody is asked here any more. */
  z.object({ type: z.literal("over"), why: z.string() }),
]);
export type ToPerson = z.output<typeof toPerson>;

/** From the person; null = they are done (Ctrl-D). An answer to another question than the last one counts for nothing. */
export const fromPerson = z.object({ number: z.number(), line: z.string().nullable() });
export type FromPerson = z.output<typeof fromPerson>;
