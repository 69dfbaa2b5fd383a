import type { ConfigSection, ConfigValue } from "./default-config.ts";
import { PdRefusal } from "./pd-refusal.ts";
import type { LimitType } from "./schedule/store-limits.ts";
import type { ClusterState, TemporaryItem } from "./state.ts";

/** What can be set for a while, by full name only (tikv/pd:server/config/persist_options.go, supportedTTLConfigs). */
const SUPPORTED = [
  "max-snapshot-count",
  "max-merge-region-size",
  "max-pending-peer-count",
  "max-merge-region-keys",
  "leader-schedule-limit",
  "region-schedule-limit",
  "replica-schedule-limit",
  "merge-schedule-limit",
  "hot-region-schedule-limit",
  "scheduler-max-waiting-operator",
  "enable-location-replacement",
  "enable-tikv-split-region",
].map((item) => `schedule.${item}`);
const DEFAULT_LIMITS = { "add-peer": "default-add-peer", "remove-peer": "default-remove-peer" } as const;

/** @throws PdRefusal 400 in PD's words for the first item that cannot be set for a while */
export function demandSupported(items: Readonly<Record<string, unknown>>): void {
  const unsupported = Object.keys(items).find((key) => !isSupported(key));
  if (unsupported !== undefined) throw new PdRefusal(400, `unsupported ttl config ${unsupported}`);
}

function isSupported(key: string): boolean {
  return (
    SUPPORTED.includes(key) || /^(add|remove)-peer-/.test(key) || Object.values<string>(DEFAULT_LIMITS).includes(key)
  );
}

/** @param seconds 0 takes the items back. */
export function temporaryItems(
  items: Readonly<Record<string, unknown>>,
  seconds: number,
  nowMs: number,
  timeFactor: number,
): Record<string, TemporaryItem | null> {
  const untilMs = nowMs + seconds * 1_000 * timeFactor;
  return Object.fromEntries(
    Object.entries(items).map(([key, value]) => [key, seconds <= 0 ? null : { value: String(value), untilMs }]),
  );
}

/** @throws PdRefusal 400 when an item is set for a while and cannot be changed until that is over */
export function demandNotTemporary(state: ClusterState, item: string, nowMs: number): void {
  const key = `schedule.${item}`;
  if (current(state, key, nowMs) !== undefined) throw new PdRefusal(400, `need to clean up TTL first for ${key}`);
}

export function expiredItems({ temporary }: ClusterState, nowMs: number): Record<string, null> {
  const over = Object.entries(temporary).filter(([, { untilMs }]) => untilMs <= nowMs);
  return Object.fromEntries(over.map(([key]) => [key, null]));
}

/** Values that do not fit are passed over, as PD does. */
export function effectiveSchedule(state: ClusterState, nowMs: number): ConfigSection {
  const own = SUPPORTED.flatMap((key): [string, ConfigValue][] => {
    const value = current(state, key, nowMs);
    const item = key.slice("schedule.".length);
    const fitting = value === undefined ? undefined : fit(value, state.schedule[item]);
    return fitting === undefined ? [] : [[item, fitting]];
  });
  return own.length === 0 ? state.schedule : { ...state.schedule, ...Object.fromEntries(own) };
}

/** Regions a minute; undefined = the store's own limit counts. */
export function temporaryLimit(
  state: ClusterState,
  storeId: number,
  type: LimitType,
  nowMs: number,
): number | undefined {
  const value = current(state, `${type}-${storeId}`, nowMs) ?? current(state, DEFAULT_LIMITS[type], nowMs);
  const rate = Number(value);
  return value === undefined || Number.isNaN(rate) ? undefined : rate;
}

function current({ temporary }: ClusterState, key: string, nowMs: number): string | undefined {
  const item = temporary[key];
  return item !== undefined && item.untilMs > nowMs ? item.value : undefined;
}

function fit(value: string, example: ConfigValue | undefined): ConfigValue | undefined {
  if (typeof example === "number") return Number.isNaN(Number(value)) ? undefined : Number(value);
  return value === "true" || value === "false" ? value : undefined;
}
