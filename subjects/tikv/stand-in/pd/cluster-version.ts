import type { ClusterState } from "./state.ts";

/** Semantic versions as stores call themselves: `8.5.7`, `v8.5.7`, `3.0.0-bata.1`. */
function parse(version: string): readonly [number, number, number, string] | null {
  const found = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$/.exec(version);
  if (found === null) return null;
  return [Number(found[1]), Number(found[2]), Number(found[3]), found[4] ?? ""];
}

function isLess(a: string, b: string): boolean {
  const [left, right] = [parse(a), parse(b)];
  if (left === null || right === null) return false;
  for (const at of [0, 1, 2] as const) if (left[at] !== right[at]) return left[at] < right[at];
  // A pre-release comes before the release.
  return left[3] !== right[3] && left[3] !== "" && (right[3] === "" || left[3] < right[3]);
}

/** Why a store of this version cannot join, or null: newer ones can, older ones only in their last number. */
export function checkStoreVersion(clusterVersion: string, storeId: string, version: string): string | null {
  const own = parse(version === "" ? "0.0.0" : version);
  if (own === null) return `invalid put store ${storeId}, error: ${version} is not in dotted-tri format`;
  const cluster = parse(clusterVersion);
  if (cluster === null || isLess(clusterVersion, version)) return null;
  if (cluster[0] === own[0] && cluster[1] === own[1]) return null;
  return `version should compatible with version  ${clusterVersion}, got ${version.replace(/^v/, "") || "0.0.0"}`;
}

/** Of all stores that count; never lower than it was. */
export function lowestVersion({ stores, clusterVersion }: ClusterState): string {
  const versions = stores
    .filter(({ state, version }) => state !== 2 && parse(version) !== null)
    .map(({ version }) => version.replace(/^v/, ""));
  const lowest = versions.reduce<string | null>((a, b) => (a === null || isLess(b, a) ? b : a), null);
  return lowest === null || isLess(lowest, clusterVersion) ? clusterVersion : lowest;
}
