import { makeFolder } from "../../base/make-folder.ts";
import type { Clock, Log, Operator, OperatorKit, Random } from "../../protocol.ts";
import type { IncidentAccess } from "../../../tickets/index.ts";
import type { AgentConfig } from "../config.ts";
import { noop } from "./noop.ts";
import { restartEverything } from "./restart-everything.ts";

/**
 * Only what the chosen operator needs is loaded; what it holds for as long as the program runs goes when the signal
 * aborts.
 *
 * @throws ConfigError for a runbook that cannot be read, a model without a price, a person without a terminal.
 */
export async function operatorFor(
  config: Pick<AgentConfig, "operator" | "model" | "runbookDirs" | "doorDir" | "apiKey" | "apiUrl">,
  kit: OperatorKit,
  deps: {
    readonly clock: Clock;
    readonly random: Random;
    readonly fetch: typeof globalThis.fetch;
    readonly log: Log;
    /** Only `external` needs it. */
    readonly access: IncidentAccess;
  },
  signal: AbortSignal,
): Promise<Operator> {
  switch (config.operator) {
    case "noop":
      return noop;
    case "restart-everything":
      return restartEverything;
    case "runbook": {
      const [{ runbook }, { loadRunbooks }] = await Promise.all([
        import("./runbook/index.ts"),
        import("./runbook/load.ts"),
      ]);
      return runbook(await loadRunbooks([kit.runbookDir, ...config.runbookDirs], kit.causes), deps);
    }
    case "human": {
      const [{ human }, { openTerminal, requireTerminal }] = await Promise.all([
        import("./human/index.ts"),
        import("./human/terminal.ts"),
      ]);
      if (config.doorDir !== null) {
        const { openTerminalDoor } = await import("./human/terminal-door.ts");
        return human(await openTerminalDoor(config.doorDir, deps.log, signal));
      }
      requireTerminal();
      return human(openTerminal);
    }
    case "external": {
      const { external } = await import("./external/index.ts");
      const { doorDir } = config;
      if (doorDir !== null) makeFolder(doorDir, 0o700);
      return external({ ...deps, doorDir, runbookDirs: [kit.runbookDir, ...config.runbookDirs] });
    }
    case "claude": {
      const { claude } = await import("./claude/index.ts");
      return await claude({ model: config.model, apiKey: config.apiKey ?? "", apiUrl: config.apiUrl }, deps);
    }
  }
}
