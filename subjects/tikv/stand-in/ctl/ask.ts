import { systemClock } from "../../../../harness/base/clock.ts";
import { silentLog } from "../../../../harness/base/log.ts";
import { nodeHttp } from "../../../common/link/http-request.ts";
import { noLinkRules, openLinkRules } from "../../../common/link/link-rules.ts";

const TIMEOUT_MS = 5_000;

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * GET `path` of `address`, as one would type it inside a container: `ADDRESSES` (JSON) maps that to where it is.
 * @throws the connection's error
 */
export async function ask(address: string, path: string): Promise<Answer> {
  const addresses = JSON.parse(process.env["ADDRESSES"] ?? "{}") as Record<string, string>;
  const self = process.env["NODE_NAME"] ?? "";
  using rules = openLinkRules(process.env, { self, clock: systemClock, log: silentLog });
  const target = addresses[address] ?? address;
  // A node that nothing passes to still reaches itself.
  const passed = rules.nameOf(target) === self ? noLinkRules(self) : rules;
  const url = `http://${target}${path}`;
  const { status, body } = await nodeHttp({ url, method: "GET" }, passed, AbortSignal.timeout(TIMEOUT_MS));
  return { status, body: body.toString() };
}
