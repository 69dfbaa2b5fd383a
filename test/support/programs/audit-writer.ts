/**
 * Writes an audit until it is killed or cannot: `node audit-writer.ts <folder> <commands at once>`. Prints the number of
 * each acknowledged intent, `stopped: <why>` when one was refused, and, asked on stdin, tries once more.
 */
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { systemClock } from "../../../harness/base/clock.ts";
import { silentLog } from "../../../harness/base/log.ts";
import { fileAnchor, openAudit } from "../../../harness/control/audit/index.ts";

const [folder = "", atOnce = "1"] = process.argv.slice(2);
const trail = await openAudit(
  {
    writer: "compose-agent",
    folder: join(folder, "audit"),
    keyFolder: join(folder, "key"),
    anchors: [fileAnchor(join(folder, "anchor", "head"))],
  },
  { clock: systemClock, log: silentLog },
);
const lines = createInterface({ input: process.stdin });
const entry = {
  plane: "compose_agent",
  caller: "operator-1",
  command: "restart",
  target: "tikv1",
  effect: "write",
  incident: "i-1",
  commandId: null,
} as const;

async function oneAfterAnother(): Promise<void> {
  for (;;) {
    const handle = await trail.intent(entry);
    process.stdout.write(`${handle.seq}\n`);
    await trail.outcome(handle, { verdict: "ok", code: null });
  }
}

for (;;)
  try {
    await Promise.all(Array.from({ length: Number(atOnce) }, () => oneAfterAnother()));
  } catch (error) {
    const { failing } = trail.counts();
    process.stdout.write(`stopped: ${(error as Error).message} (${failing === null ? "fine" : "failing"})\n`);
    await once(lines, "line");
  }
