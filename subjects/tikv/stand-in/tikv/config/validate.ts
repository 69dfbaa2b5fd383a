import { durationMs } from "./readable.ts";
import { isTable, itemAt, type ConfigTree } from "./tree.ts";

/**
 * Why a store cannot run with this, in TiKV's words; null = it can. The checks that people meet of
 * tikv/tikv:{src/server/config.rs,components/raftstore/src/store/config.rs,src/storage/config.rs}.
 */
export function invalidConfig(tree: ConfigTree): string | null {
  return server(tree) ?? raftstore(tree) ?? storage(tree);
}

function server(tree: ConfigTree): string | null {
  for (const name of ["addr", "advertise-addr", "status-addr", "advertise-status-addr"]) {
    const address = textAt(tree, `server.${name}`);
    if (address !== "" && !/^[^\s/]+:\d{1,5}$/.test(address)) return `invalid addr: ${JSON.stringify(address)}`;
  }
  if (textAt(tree, "server.advertise-addr").startsWith("0."))
    return `invalid advertise-addr: ${JSON.stringify(textAt(tree, "server.advertise-addr"))}`;
  if (textAt(tree, "server.addr") === textAt(tree, "server.status-addr"))
    return `status-addr has already been used: ${JSON.stringify(textAt(tree, "server.addr"))}`;
  for (const name of ["concurrent-send-snap-limit", "concurrent-recv-snap-limit", "grpc-concurrency"])
    if (itemAt(tree, `server.${name}`) === 0) return `server.${name} should not be 0.`;
  const labels = itemAt(tree, "server.labels");
  for (const [key, value] of Object.entries(isTable(labels) ? labels : {})) {
    if (!/^[$]?[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$/.test(key)) return wrongLabel("key", key);
    if (!/^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$/.test(String(value))) return wrongLabel("value", String(value));
  }
  return null;
}

function wrongLabel(what: string, text: string): string {
  return `store label ${what}: ${JSON.stringify(text)} not match ^[$]?[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$`;
}

function raftstore(tree: ConfigTree): string | null {
  const at = (name: string): number => Number(itemAt(tree, `raftstore.${name}`));
  const ms = (name: string): number => durationMs(textAt(tree, `raftstore.${name}`)) ?? 0;
  if (at("raft-heartbeat-ticks") === 0) return "heartbeat tick must greater than 0";
  if (at("raft-election-timeout-ticks") <= at("raft-heartbeat-ticks"))
    return "election tick must be greater than heartbeat tick";
  if (at("raft-log-gc-threshold") < 1) return `raft log gc threshold must >= 1, not ${at("raft-log-gc-threshold")}`;
  const election = ms("raft-base-tick-interval") * at("raft-election-timeout-ticks");
  const lease = ms("raft-store-max-leader-lease");
  if (lease > election) return `election timeout ${election} ms is less than lease ${lease} ms`;
  if (ms("peer-stale-state-check-interval") < election * 2)
    return `peer stale state check interval ${ms("peer-stale-state-check-interval")} ms is less than election timeout x 2 ${election * 2} ms`;
  if (ms("abnormal-leader-missing-duration") < ms("peer-stale-state-check-interval"))
    return `abnormal leader missing ${ms("abnormal-leader-missing-duration")} ms is less than peer stale state check interval ${ms("peer-stale-state-check-interval")} ms`;
  if (ms("max-leader-missing-duration") < ms("abnormal-leader-missing-duration"))
    return `max leader missing ${ms("max-leader-missing-duration")} ms is less than abnormal leader missing ${ms("abnormal-leader-missing-duration")} ms`;
  for (const name of ["apply-pool-size", "store-pool-size", "apply-max-batch-size", "store-max-batch-size"])
    if (at(name) === 0) return `${name} should be greater than 0`;
  return null;
}

function storage(tree: ConfigTree): string | null {
  const [version, ttl] = [itemAt(tree, "storage.api-version"), itemAt(tree, "storage.enable-ttl")];
  if (version !== 1 && version !== 2) return "storage.api_version can only be set to 1 or 2.";
  if (version === 2 && ttl !== true) return "storage.enable_ttl must be true in API V2.";
  const engine = textAt(tree, "storage.engine");
  if (engine !== "raft-kv") return `storage.engine ${engine} is not supported`;
  return null;
}

function textAt(tree: ConfigTree, path: string): string {
  const value = itemAt(tree, path);
  return typeof value === "string" ? value : "";
}

/**
 * What may not differ from the store's last start, in TiKV's words; null = nothing does
 * (tikv/tikv:src/config/mod.rs, `check_critical_cfg_with`).
 */
export function criticalChange(now: ConfigTree, last: ConfigTree): string | null {
  const [of, was] = [(path: string) => textAt(now, path), (path: string) => textAt(last, path)];
  const differs = (path: string): boolean => of(path) !== was(path);
  if (differs("storage.data-dir"))
    return `storage data dir have been changed, former is ${was("storage.data-dir")}, current data dir is ${of("storage.data-dir")}, please check if it is expected.`;
  if (differs("rocksdb.wal-dir"))
    return `db wal dir have been changed, former is '${was("rocksdb.wal-dir")}', current db wal_dir is '${of("rocksdb.wal-dir")}', please guarantee all data wal logs have been moved to destination directory.`;
  for (const [path, name] of [
    ["raftstore.raftdb-path", "raft db dir"],
    ["raftdb.wal-dir", "raft db wal dir"],
    ["raft-engine.dir", "raft engine dir"],
  ] as const)
    if (differs(path))
      return `${name} have been changed, former is '${was(path)}', current is '${of(path)}', please check if it is expected.`;
  const [ttl, hadTtl] = [itemAt(now, "storage.enable-ttl"), itemAt(last, "storage.enable-ttl")];
  if (hadTtl === true && ttl !== true) return "can't disable ttl on a ttl instance";
  if (hadTtl !== true && ttl === true) return "can't enable ttl on a non-ttl instance";
  return null;
}
