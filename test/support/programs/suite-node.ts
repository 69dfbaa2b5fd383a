/** A component of the engine contract suite, as `engine.suite.ts` describes them: `suite-node.ts <behaviour>`. */
import { createServer } from "node:net";
import { exitWithParent } from "../../../subjects/common/parent-watch.ts";

const behaviour = process.argv[2];
if (behaviour !== "orphan") exitWithParent();
process.on("SIGTERM", () => {
  if (behaviour !== "stubborn") process.exit(0);
});
process.stdout.write("ready\n");
process.stderr.write("careful\n");
if (behaviour === "flaky") setTimeout(() => process.exit(3), 100);
if (behaviour === "broken") throw new Error("as a bug would");
// Something that keeps it alive.
createServer().listen(0, "127.0.0.1");
