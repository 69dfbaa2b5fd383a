import type { Endpoints } from "../../../harness/protocol.ts";

/**
 * Where things are when nobody said so: inside the cluster's own network services answer under their compose names, on
 * the standard ports (facts §7). Names that are neither PD's nor a store's get no address.
 */
export function defaultEndpoints(components: readonly string[], prometheusUrl: string | null): Endpoints {
  const servicesOf = (name: string): Record<string, string> => {
    if (/^pd\d*$/.test(name)) return { client: `http://${name}:2379`, peer: `http://${name}:2380` };
    if (/^tikv\d*$/.test(name)) return { client: `${name}:20160`, status: `http://${name}:20180` };
    return {};
  };
  return {
    view: "network",
    byComponent: Object.fromEntries(components.map((name) => [name, servicesOf(name)])),
    advertised: {},
    prometheusUrl,
  };
}
