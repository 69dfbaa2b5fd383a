/**
 * What `exec` runs as `pd-ctl` in a PD of the process engine: the sub-commands of the real one that only read, with the
 * same output (PD's JSON, indented). `ADDRESSES` (JSON) maps what one would type inside a container, such as
 * `127.0.0.1:2379`, to where it is.
 */
import { systemClock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import { silentLog } from "../../../../harness/base/log.ts";
import { nodeHttp } from "../../../common/link/http-request.ts";
import { noLinkRules, openLinkRules } from "../../../common/link/link-rules.ts";
import { ctlRequest, indented } from "./pd-ctl.ts";

const TIMEOUT_MS = 5_000;

try {
  const addresses = JSON.parse(process.env["ADDRESSES"] ?? "{}") as Record<string, string>;
  const { address, path } = ctlRequest(process.argv.slice(2));
  const self = process.env["NODE_NAME"] ?? "";
  using rules = openLinkRules(process.env, { self, clock: systemClock, log: silentLog });
  const target = addresses[address] ?? address;
  // A node that nothing passes to still reaches itself.
  const passed = rules.nameOf(target) === self ? noLinkRules(self) : rules;
  const url = `http://${target}${path}`;
  const reply = await nodeHttp({ url, method: "GET" }, passed, AbortSignal.timeout(TIMEOUT_MS));
  process.stdout.write(reply.status === 200 ? indented(reply.body.toString()) : `[${reply.status}] ${reply.body}\n`);
  process.exitCode = reply.status === 200 ? 0 : 1;
} catch (error) {
  process.stdout.write(`${errorText(error)}\n`);
  process.exitCode = 1;
}
