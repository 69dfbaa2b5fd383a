import type { IncomingMessage } from "node:http";
import type { ServerEvent } from "./types.ts";

/** Server-sent events of an answer, with JSON as their data. Ends with the answer. */
export async function* serverEvents(reply: IncomingMessage): AsyncGenerator<ServerEvent> {
  let rest = "";
  for await (const chunk of reply.setEncoding("utf8")) {
    const blocks = (rest + (chunk as string)).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parse(block);
      if (event !== null) yield event;
    }
  }
}

/** Null = a comment. */
function parse(block: string): ServerEvent | null {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
  }
  const data = fields.get("data");
  if (data === undefined) return null;
  return { id: fields.get("id") ?? "", type: fields.get("event") ?? "message", data: JSON.parse(data) as unknown };
}
