import { describe, expect, test } from "vitest";
import { execEffect } from "../../harness/control/exec-effect.ts";
import type { Effect } from "../../harness/protocol.ts";
import { pdEffect } from "../../subjects/tikv/kit/tools/pd-effect.ts";
import { statusEffect } from "../../subjects/tikv/kit/tools/tikv-status.ts";

const v1 = (path: string) => `/pd/api/v1${path}`;

describe("requests to PD", () => {
  test.each<[string, string, unknown, Effect]>([
    ["GET", v1("/stores"), undefined, "read"],
    ["GET", v1("/anything/unknown"), undefined, "read"],
    ["GET", "/health", undefined, "read"],
    ["POST", "/v3/kv/range", {}, "read"],
    ["POST", v1("/leader/resign"), undefined, "write"],
    ["POST", v1("/leader/transfer/pd1"), undefined, "write"],
    ["POST", v1("/members/name/pd1"), { "leader-priority": 5 }, "write"],
    ["POST", v1("/config"), { "halt-scheduling": "false" }, "write"],
    ["POST", v1("/config"), { "schedule.leader-schedule-limit": 8 }, "write"],
    ["POST", v1("/config"), '{"halt-scheduling": "false"}', "write"],
    ["POST", v1("/config/schedule"), { "leader-schedule-limit": 4 }, "write"],
    ["POST", v1("/store/4/state?state=Up"), undefined, "write"],
    ["POST", v1("/store/4/limit"), { rate: 15 }, "write"],
    ["POST", v1("/stores/limit"), { rate: 15 }, "write"],
    ["POST", v1("/store/4/weight"), { leader: 1, region: 1 }, "write"],
    ["POST", v1("/store/4/label"), { zone: "a" }, "write"],
    ["POST", v1("/regions/split"), { split_keys: ["00"] }, "write"],
    ["POST", v1("/regions/scatter"), { regions_id: [1] }, "write"],
    ["POST", v1("/operators"), { name: "transfer-leader", region_id: 1, to_store_id: 4 }, "write"],
    ["POST", v1("/operators"), { name: "add-peer", region_id: 1, store_id: 4 }, "write"],
    ["DELETE", v1("/operators"), undefined, "write"],
    ["DELETE", v1("/operators/12"), undefined, "write"],
    ["POST", v1("/schedulers"), { name: "evict-leader-scheduler", store_id: 4 }, "write"],
    ["POST", v1("/schedulers/all"), { delay: 0 }, "write"],
    ["DELETE", v1("/schedulers/evict-leader-scheduler-4"), undefined, "write"],
    ["POST", v1("/checker/learner"), { delay: 0 }, "write"],
    ["POST", v1("/admin/log"), "info", "write"],
    // What cannot be taken back, and what no rule lists.
    ["DELETE", v1("/store/4"), undefined, "destructive"],
    ["DELETE", v1("/store/4?force"), undefined, "destructive"],
    ["DELETE", v1("/members/name/pd1"), undefined, "destructive"],
    ["DELETE", v1("/members/id/1"), undefined, "destructive"],
    ["DELETE", v1("/stores/remove-tombstone"), undefined, "destructive"],
    ["POST", v1("/admin/unsafe/remove-failed-stores"), { stores: [4] }, "destructive"],
    ["POST", v1("/store/4/state?state=Offline"), undefined, "destructive"],
    ["POST", v1("/store/4/state?state=Up&state=Offline"), undefined, "destructive"],
    ["POST", v1("/store/4/state"), undefined, "destructive"],
    ["POST", v1("/store/4/label?force=false"), { zone: "a" }, "destructive"],
    ["POST", v1("/config"), { "max-replicas": 1 }, "destructive"],
    ["POST", v1("/config"), { "replication.max-replicas": 1 }, "destructive"],
    ["POST", v1("/config"), '{"max-replicas":1}', "destructive"],
    ["POST", v1("/config/replicate"), { "max-replicas": 2 }, "destructive"],
    ["POST", v1("/config/rule"), {}, "destructive"],
    ["POST", v1("/operators"), { name: "remove-peer", region_id: 1, store_id: 4 }, "destructive"],
    ["POST", v1("/operators"), "no JSON", "destructive"],
    ["POST", v1("/leader/resign/more"), undefined, "destructive"],
    ["POST", v1("/st%6Fre/4/limit"), {}, "destructive"],
    ["POST", "/v3/kv/put", {}, "destructive"],
    ["POST", "/v3/cluster/member/remove", {}, "destructive"],
  ])("%s %s %j: %s", (method, path, body, effect) => {
    expect(pdEffect(method, path, body)).toBe(effect);
  });
});

describe("requests to a store", () => {
  test.each<[string, string, Effect]>([
    ["GET", "/status", "read"],
    ["GET", "/debug/pprof/profile?seconds=1", "read"],
    ["POST", "/config", "write"],
    ["POST", "/config?persist=false", "write"],
    ["PUT", "/config/reload", "write"],
    ["PUT", "/log-level", "write"],
    ["PUT", "/pause_grpc", "write"],
    ["PUT", "/resume_grpc", "write"],
    ["POST", "/unknown", "destructive"],
    ["PUT", "/force_partition_ranges", "destructive"],
  ])("%s %s: %s", (method, path, effect) => {
    expect(statusEffect(method, path)).toBe(effect);
  });
});

describe("programs in a container", () => {
  test.each<[string, Effect]>([
    ["df -h /data", "read"],
    ["ls -la /data", "read"],
    ["cat /etc/hosts", "read"],
    ["tail -n 50 /data/LOG", "read"],
    ["grep -i error /data/LOG", "read"],
    ["date -u", "read"],
    ["hostname", "read"],
    ["getent hosts pd0", "read"],
    ["ip addr show", "read"],
    ["iptables -S", "read"],
    ["tc qdisc show", "read"],
    ["curl -fsS -m 2 http://127.0.0.1:20180/status", "read"],
    ["/pd-ctl -u http://127.0.0.1:2379 store", "read"],
    ["/pd-ctl -u http://127.0.0.1:2379 store 4", "read"],
    ["/pd-ctl store check Down", "read"],
    ["/pd-ctl member leader show", "read"],
    ["/pd-ctl config show all", "read"],
    ["/pd-ctl hot write", "read"],
    ["/tikv-ctl --host tikv0:20160 metrics", "read"],
    ["/tikv-ctl --host tikv0:20160 raft region -r 2", "read"],
    // Everything else, shells above all.
    ["sh -c id", "destructive"],
    ["bash", "destructive"],
    ["__proto__", "destructive"],
    ["constructor", "destructive"],
    ["rm -rf /data", "destructive"],
    ["tail -f /data/LOG", "destructive"],
    ["date -s 12:00", "destructive"],
    ["hostname other", "destructive"],
    ["env", "destructive"],
    ["ip link set eth0 down", "destructive"],
    ["iptables -F", "destructive"],
    ["tc qdisc del dev eth0 root", "destructive"],
    ["curl -X POST http://127.0.0.1:2379/pd/api/v1/leader/resign", "destructive"],
    ["curl -o /data/x http://127.0.0.1/", "destructive"],
    ["/pd-ctl store delete 4", "destructive"],
    ["/pd-ctl store 4 delete", "destructive"],
    ["/pd-ctl store weight 4 0 1", "destructive"],
    ["/pd-ctl member delete name pd1", "destructive"],
    ["/pd-ctl member leader resign", "destructive"],
    ["/pd-ctl config set max-replicas 1", "destructive"],
    ["/pd-ctl", "destructive"],
    ["/tikv-ctl --host tikv0:20160 raft log -r 2", "destructive"],
    ["/tikv-ctl --data-dir /data unsafe-recover remove-fail-stores -s 4 metrics", "destructive"],
    // A flag that is not known may take the next word: what is left is another command than it seems.
    ["/pd-ctl --cert config --key show store delete 4", "destructive"],
    ["/pd-ctl -du config -du show -u http://pd0:2379 store delete 4", "destructive"],
    ["/pd-ctl -i health", "destructive"],
    ["/tikv-ctl --cert-path metrics --host tikv0:20160 compact", "destructive"],
    ["/tikv-ctl --key-path=a store", "destructive"],
    ["/pd-ctl --pd=http://pd0:2379 store", "read"],
    ["/pd-ctl --jq=.stores store", "read"],
    // A file that somebody has put there may have any name.
    ["/tmp/cat /etc/hosts", "destructive"],
    ["./ls", "destructive"],
    ["data/../df", "destructive"],
    ["/usr/bin/../../tmp/df", "destructive"],
    ["/data/pd-ctl store", "destructive"],
    ["busybox cat /etc/hosts", "destructive"],
    ["xargs cat", "destructive"],
    ["nice cat /etc/hosts", "destructive"],
    ["timeout 5 cat /etc/hosts", "destructive"],
    ["/usr/bin/cat /etc/hosts", "read"],
    ["/bin/df -h", "read"],
    // Somewhere else than within the subject, or many at once.
    ["curl http://example.com/?q=secret", "destructive"],
    ["curl http://10.0.0.1/", "destructive"],
    ["curl 2130706433", "destructive"],
    ["curl http://2130706433/", "destructive"],
    ["curl http://127.0.0.1:20180/[1-9999]", "destructive"],
    ["curl http://pd0:2379/{a,b}", "destructive"],
    ["curl http://pd0:2379/pd/api/v1/stores", "read"],
    ["curl -s http://[::1]:2379/health", "read"],
  ])("%s: %s", (line, effect) => {
    expect(execEffect(line.split(" "))).toBe(effect);
  });
});
