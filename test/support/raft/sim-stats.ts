/** What schedules really exercised: a mix that is empty somewhere proves nothing. */
export interface SimStats {
  schedules: number;
  steps: number;
  operations: number;
  unknownOperations: number;
  leasedReads: number;
  indexReads: number;
  elections: number;
  simpleChanges: number;
  jointChanges: number;
  leaves: number;
  splits: number;
  transfers: number;
  snapshotsInstalled: number;
  compactions: number;
  rewrites: number;
  kills: number;
  powerLosses: number;
  tornTails: number;
  diskErrors: number;
  stops: number;
  partitions: number;
  lost: number;
  repeated: number;
  overtaken: number;
}

export function newStats(): SimStats {
  return {
    schedules: 0,
    steps: 0,
    operations: 0,
    unknownOperations: 0,
    leasedReads: 0,
    indexReads: 0,
    elections: 0,
    simpleChanges: 0,
    jointChanges: 0,
    leaves: 0,
    splits: 0,
    transfers: 0,
    snapshotsInstalled: 0,
    compactions: 0,
    rewrites: 0,
    kills: 0,
    powerLosses: 0,
    tornTails: 0,
    diskErrors: 0,
    stops: 0,
    partitions: 0,
    lost: 0,
    repeated: 0,
    overtaken: 0,
  };
}

export function addStats(to: SimStats, more: SimStats): void {
  for (const name of Object.keys(to) as (keyof SimStats)[]) to[name] += more[name];
}

export function printStats(stats: SimStats): string {
  return Object.entries(stats)
    .map(([name, value]) => `${name.replaceAll(/[A-Z]/gu, (letter) => ` ${letter.toLowerCase()}`)} ${value}`)
    .join(", ");
}
