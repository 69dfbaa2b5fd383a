import type { Plans, StorePlan } from "./recovery-plan.ts";

/** What a plan does, by store, in PD's words. */
export function digestOf(plans: Plans, lines: (plan: StorePlan) => string[]): Record<string, string[]> {
  const all = [...plans].map(([storeId, plan]): [string, string[]] => [`store ${storeId}`, lines(plan)]);
  return Object.fromEntries(all.filter(([, own]) => own.length > 0));
}

export function forceLeaderLines({ forceLeader }: StorePlan): string[] {
  return forceLeader === null ? [] : [`force leader on regions: ${forceLeader.regions.join(", ")}`];
}

export function demoteLines({ demotes, tombstones }: StorePlan): string[] {
  const peer = ({ id, storeId, role }: { id: number; storeId: number; role: number }) =>
    `{ id:${id} store_id:${storeId} ${role === 0 ? "" : `role:${role} `}}`;
  return [
    ...demotes.map(({ regionId, failed }) => `region ${regionId} demotes peers ${failed.map(peer).join(", ")}`),
    ...tombstones.map((regionId) => `tombstone the peer of region ${regionId}`),
  ];
}

export function createLines({ creates }: StorePlan): string[] {
  return creates.map(({ id, startKey, endKey, peers }) => {
    const [peer] = peers;
    const keys = `start_key:"${startKey.toUpperCase()}" end_key:"${endKey.toUpperCase()}"`;
    const own = `peers:{ id:${peer?.id} store_id:${peer?.storeId} }`;
    return `create region ${id}: id:${id} ${keys} region_epoch:{ conf_ver:1 version:1 } ${own} `;
  });
}
