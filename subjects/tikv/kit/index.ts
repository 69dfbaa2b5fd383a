import { join } from "node:path";
import type { Endpoints, OperatorKit } from "../../../harness/protocol.ts";
import { briefing } from "./briefing.ts";
import { causes } from "./causes.ts";
import { addressBook, asUrl, hostOf } from "./clients/address-book.ts";
import type { ClientDeps } from "./clients/http.ts";
import { pdClient } from "./clients/pd.ts";
import { statusClient } from "./clients/status.ts";
import { pdRequest } from "./tools/pd-request.ts";
import { tikvStatus } from "./tools/tikv-status.ts";

export interface TikvKitOptions {
  readonly endpoints: Endpoints;
  /** Client URLs of the PD members. */
  readonly pdUrls: readonly string[];
  readonly scrapeIntervalMs?: number;
}

/** As in the shipped Prometheus configuration. */
const SCRAPE_INTERVAL_MS = 5_000;

/** What the operator of a TiKV cluster is given. */
export function tikvKit(options: TikvKitOptions, deps: ClientDeps): OperatorKit {
  const { endpoints, pdUrls, scrapeIntervalMs = SCRAPE_INTERVAL_MS } = options;
  const book = addressBook(endpoints);
  // An address that the endpoints do not name is known by its host; two members on one host by host and port.
  const members = Object.fromEntries(pdUrls.map((url) => [nameOf(url, book.componentOf(url), pdUrls), asUrl(url)]));
  const stores = Object.entries(endpoints.byComponent).flatMap(([name, { status }]) =>
    status === undefined ? [] : [[name, asUrl(status)] as const],
  );
  return {
    subject: "tikv",
    tools: [
      pdRequest(pdClient({ members, componentOf: (url) => book.componentOf(url) }, deps)),
      tikvStatus(statusClient({ stores: Object.fromEntries(stores) }, deps)),
    ],
    causes,
    briefing: briefing({ endpoints, scrapeIntervalMs }),
    runbookDir: join(import.meta.dirname, "runbooks"),
  };
}

function nameOf(url: string, component: string, all: readonly string[]): string {
  const known = component !== hostOf(url);
  const shared = all.filter((other) => hostOf(other) === hostOf(url)).length > 1;
  return known || !shared ? component : asUrl(url).replace(/^https?:\/\//, "");
}
