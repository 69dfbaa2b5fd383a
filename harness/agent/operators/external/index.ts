import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import type { Clock, Log, Operator } from "../../../protocol.ts";
import type { IncidentAccess } from "../../../../tickets/index.ts";
import type { Welcome } from "./door-contract.ts";
import { doorApp, openDoor } from "./door.ts";
import { Visit } from "./visit.ts";

export interface ExternalDeps {
  readonly access: IncidentAccess;
  /** Shown to whoever comes, as they are. */
  readonly runbookDirs: readonly string[];
  /** Where doors are made; null = a folder for temporary files. */
  readonly doorDir: string | null;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Opens the incident to somebody from outside (over MCP, `harness/mcp`) and waits for their `submit_diagnosis`. What
 * they call goes the way of every operator's calls, within the same limits; a call counts as a turn.
 */
export function external(deps: ExternalDeps): Operator {
  return {
    name: "external",
    scripted: false,
    async work(context, signal) {
      const { batchKey, holder, attempt, instance } = context.incident;
      const claim = { batchKey, holder, attempt };
      await using scope = new AsyncDisposableStack();
      // Short: a socket's path has room for about a hundred characters. 0700 by mkdtemp.
      const folder = await mkdtemp(join(deps.doorDir ?? tmpdir(), "operator-"));
      scope.defer(() => rm(folder, { recursive: true, force: true }));
      const visit = new Visit(context, signal);
      const runbooks = await runbooksIn(deps.runbookDirs);
      const app = doorApp({ visit, access: deps.access, runbooks }, deps.log);
      const socketPath = join(folder, "door.sock");
      scope.use(await openDoor(app, socketPath, deps.clock));
      await deps.access.open({ claim, instance, socketPath });
      deps.log.info("door.opened", { incident: batchKey });
      try {
        return await visit.ended;
      } finally {
        // Before the answer under way is sent: whoever asks next is told that it is over. A file that cannot be written
        // now is no reason to lose the result: without a live claim the tokens are worth nothing.
        await deps.access.close(claim).catch(() => {});
      }
    },
  };
}

/** A later folder's runbook replaces an earlier one of the same name, as for the operator `runbook`. */
async function runbooksIn(folders: readonly string[]): Promise<Welcome["runbooks"]> {
  const byName = new Map<string, string>();
  for (const folder of folders)
    for (const file of (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name)).toSorted())
      byName.set(basename(file, extname(file)), await readFile(join(folder, file), "utf8"));
  return [...byName].map(([name, text]) => ({ name, text }));
}
