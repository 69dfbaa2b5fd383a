/** The agent's way to the model: `node harness/control/proxy/proxy-main.ts`. */
import { errorText } from "../../base/errors.ts";
import { jsonLog } from "../../base/log.ts";
import { allowedHosts } from "./allowed-hosts.ts";
import { connectProxy } from "./connect-proxy.ts";

const PORT = 8704;
const log = jsonLog();
try {
  const allowed = allowedHosts(process.env);
  const server = connectProxy({ allowed }, log);
  server.listen(PORT, () => log.info("proxy.started", { port: PORT, allowed }));
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => process.exit(0));
} catch (error) {
  log.error("proxy.failed", { why: errorText(error) });
  process.exitCode = 2;
}
