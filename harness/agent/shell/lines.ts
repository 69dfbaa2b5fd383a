import type { Readable } from "node:stream";

/** More than the longest message; whoever writes more without an end of line is no partner of ours. */
const MAX_LINE = 2 * 1024 * 1024;

/** Whole lines of a pipe, without their ends. Ends with the pipe, or when a line grows beyond every message. */
export async function* linesOf(stream: Readable): AsyncIterable<string> {
  let rest = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > MAX_LINE) return;
  }
}
