import type { Clock, Operator, OperatorKit, Random } from "../../protocol.ts";
import type { AgentConfig } from "../config.ts";
import { noop } from "./noop.ts";
import { restartEverything } from "./restart-everything.ts";

/** Only what the chosen operator needs is loaded. @throws ConfigError for a runbook that cannot be read, or a model without a price. */
export async function operatorFor(
  config: Pick<AgentConfig, "operator" | "model" | "runbookDirs" | "apiKey" | "apiUrl">,
  kit: OperatorKit,
  deps: { readonly clock: Clock; readonly random: Random; readonly fetch: typeof globalThis.fetch },
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
    case "claude": {
      const { claude } = await import("./claude/index.ts");
      return await claude({ model: config.model, apiKey: config.apiKey ?? "", apiUrl: config.apiUrl }, deps);
    }
  }
}
