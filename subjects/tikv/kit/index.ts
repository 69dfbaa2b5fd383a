import { join } from "node:path";
import type { Endpoints, OperatorKit } from "../../../harness/protocol.ts";
import { briefing } from "./briefing.ts";
import { causes } from "./causes.ts";
import type { ClientDeps } from "./clients/http.ts";
import { pdRequest } from "./tools/pd-request.ts";
import { tikvStatus } from "./tools/tikv-status.ts";

export interface TikvKitOptions {
  readonly endpoints: Endpoints;
  /** Asked in this order. Default: every component of `endpoints` that has a `client` address. */
  readonly pdUrls?: readonly string[];
  readonly scrapeIntervalMs?: number;
}

/** Default of the shipped Prometheus configuration. */
const SCRAPE_INTERVAL_MS = 5_000;

export function tikvKit(options: TikvKitOptions, deps: ClientDeps): OperatorKit {
  const { endpoints, scrapeIntervalMs = SCRAPE_INTERVAL_MS } = options;
  return {
    subject: "tikv",
    tools: [pdRequest(endpoints, options.pdUrls ?? pdAddresses(endpoints), deps), tikvStatus(endpoints, deps)],
    causes,
    briefing: briefing({ endpoints, scrapeIntervalMs }),
    runbookDir: join(import.meta.dirname, "runbooks"),
  };
}

function pdAddresses(endpoints: Endpoints): readonly string[] {
  return Object.entries(endpoints.byComponent)
    .filter(([name, services]) => name.startsWith("pd") && services["client"] !== undefined)
    .map(([, services]) => services["client"] as string);
}
