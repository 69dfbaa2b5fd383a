import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { prometheusApi } from "../../subjects/common/prometheus/api.ts";
import { Storage } from "../../subjects/common/prometheus/storage.ts";
import { noPrometheus, startRealPrometheus, type RealPrometheus } from "../support/promql/real-prometheus.ts";
import { queryOptions, serverInfo } from "../support/prometheus-series.ts";
import { parseExposition } from "../../subjects/common/prometheus/text-format.ts";

/** `tikv-facts.md` §4, "Own PromQL": what operators and our own invariants ask. */
const OWN = [
  'up{job=~"tikv|pd"} == 0',
  'sum(pd_cluster_status{type=~"store_(disconnected|unhealth|down)_count"}) > 0',
  '(max(tikv_raftstore_region_count{type="leader"}) - min(tikv_raftstore_region_count{type="leader"})) / clamp_min(avg(tikv_raftstore_region_count{type="leader"}), 1)',
  'sum by (type) (rate(tikv_grpc_msg_duration_seconds_count{type!="kv_gc"}[1m]))',
  'histogram_quantile(0.99, sum by (le, instance) (rate(tikv_grpc_msg_duration_seconds_bucket{type=~"raw_get|raw_put|kv_get|kv_prewrite|kv_commit"}[1m])))',
  "sum(rate(tikv_grpc_msg_fail_total[1m])) / clamp_min(sum(rate(tikv_grpc_msg_duration_seconds_count[1m])), 1)",
  'sum by (instance, status) (rate(tikv_storage_engine_async_request_total{status=~"err_.*"}[1m])) > 0',
  "histogram_quantile(0.99, sum by (le, instance) (rate(tikv_raftstore_request_wait_time_duration_secs_bucket[1m])))",
  "histogram_quantile(0.99, sum by (le, instance) (rate(tikv_raftstore_apply_wait_time_duration_secs_bucket[1m])))",
  "histogram_quantile(0.99, sum by (le, instance) (rate(tikv_raftstore_log_lag_bucket[1m])))",
  '1 - sum by (instance) (tikv_store_size_bytes{type="available"}) / sum by (instance) (tikv_store_size_bytes{type="capacity"})',
  'sum by (instance) (rate(tikv_storage_engine_async_request_total{status="err_disk_full"}[1m])) > 0',
  "histogram_quantile(0.99, sum by (le, instance, To) (rate(etcd_network_peer_round_trip_time_seconds_bucket[2m])))",
  'sum by (store_id) (rate(tikv_server_report_failure_msg_total{type="unreachable"}[1m])) > 0',
  "max by (instance) (tikv_raftstore_slow_score) > 10",
  "histogram_quantile(0.99, sum by (le) (rate(tikv_raftstore_append_log_duration_seconds_bucket[1m]))) > 0.1",
  "histogram_quantile(0.99, sum by (le) (rate(etcd_disk_wal_fsync_duration_seconds_bucket[1m]))) > 0.1",
  'max by (instance) (tikv_engine_write_stall{db="kv",type="write_stall_max"}) > 1e5',
  "sum by (instance) (tikv_scheduler_throttle_flow) != 0",
  'service_member_role{service="PD"} == 1',
  "max(increase(etcd_server_leader_changes_seen_total[10m])) > 0",
  "min(etcd_server_has_leader) == 0",
  "sum(etcd_server_is_leader) != 1",
  'sum by (type) (pd_regions_status{type=~"(miss|down|pending|offline)-peer-region-count"}) > 0',
  'topk(3, pd_hotspot_status{type=~"hot_(read|write)_region_as_leader"})',
  'sum by (instance) (rate(tikv_pd_request_duration_seconds_count{type="store_heartbeat"}[2m])) == 0',
  "changes(process_start_time_seconds[10m]) > 0",
  'rate(process_cpu_seconds_total{job="tikv"}[1m]) / tikv_server_cpu_cores_quota',
  'process_resident_memory_bytes{job="tikv"} / tikv_server_memory_quota_bytes',
  'min by (kind) (pd_scheduler_status{type="allow"}) == 0',
  'sum(rate(client_requests_total{outcome="ok"}[1m])) / sum(rate(client_requests_total[1m]))',
];

/** The corners of the language. */
const CORNERS = [
  'absent(up{job="nosuch"})',
  "absent_over_time(up[5m])",
  'rate(etcd_server_leader_changes_seen_total{instance="pd0:2379"}[95s])',
  "irate(tikv_grpc_msg_fail_total[1m])",
  "delta(process_resident_memory_bytes[3m])",
  "resets(tikv_grpc_msg_fail_total[10m])",
  "increase(tikv_grpc_msg_fail_total[7m]) offset 1m",
  "sum(tikv_grpc_msg_fail_total) without (instance)",
  "avg_over_time(process_resident_memory_bytes[2m])",
  "max_over_time(process_resident_memory_bytes[2m]) - min_over_time(process_resident_memory_bytes[2m])",
  "quantile_over_time(0.3, process_resident_memory_bytes[4m])",
  "stddev_over_time(process_resident_memory_bytes[4m])",
  "count_over_time(up[3m])",
  "last_over_time(up[3m])",
  "deriv(process_resident_memory_bytes[5m])",
  "predict_linear(process_resident_memory_bytes[5m], 600)",
  "max_over_time(sum(up)[5m:30s])",
  "quantile(0.4, process_resident_memory_bytes)",
  "quantile by (job) (0.9, process_resident_memory_bytes)",
  "bottomk(2, process_resident_memory_bytes)",
  "stdvar(process_resident_memory_bytes)",
  'count_values("n", up)',
  "group by (job) (up)",
  "up * on(instance) group_left(job) process_start_time_seconds",
  "process_resident_memory_bytes > bool 1.5e8",
  "process_resident_memory_bytes and on(job) up == 0",
  "process_resident_memory_bytes unless on(instance) up == 0",
  "up == 0 or up == 1",
  "-up ^ 2 % 3",
  "2 ^ 3 ^ 2 - 1",
  "up + process_start_time_seconds offset 1m * 2",
  "up - on(instance) group_right process_start_time_seconds",
  "scalar(sum(up)) + time()",
  "vector(time())",
  "round(process_resident_memory_bytes / 1e6, 0.5)",
  "clamp(process_resident_memory_bytes, 1.2e8, 1.6e8)",
  'label_replace(up, "host", "$1", "instance", "(.*):.*")',
  'label_join(up, "both", "/", "job", "instance")',
  "timestamp(up)",
  "sort_desc(process_resident_memory_bytes)",
  "ceil(process_cpu_seconds_total) - floor(process_cpu_seconds_total)",
  "ln(process_resident_memory_bytes) + exp(up) + sqrt(up) + log2(up + 1) + log10(up + 9)",
  "sum(up @ start())",
  "1 / 0",
  "-(0 / 0)",
];

const BASE_S = 1_760_000_000;
const STEP_S = 15;
const STEPS = 60;
/** Between scrapes, so that it makes no difference which end of a range is open (2.42 closes both). */
const INSTANTS = [300, 611, 757].map((offset) => BASE_S + offset + 0.5);

/**
 * Not within a minute of the store's return at 540 s: a counter that is born inside the window, far from its start, is
 * extrapolated towards zero by 2.42 and by half a gap by 3.x (which ours follows).
 */
const RANGES = [
  { start: String(BASE_S + 200.5), end: String(BASE_S + 530.5), step: "23" },
  { start: String(BASE_S + 605.5), end: String(BASE_S + 880.5), step: "29" },
];

const reason = "Debian's prometheus package is not installed";
if (noPrometheus && process.env["CI"] !== undefined) throw new Error(reason);

describe.skipIf(noPrometheus)(`PromQL beside a real Prometheus${noPrometheus ? ` (${reason})` : ""}`, () => {
  const text = madeUpCluster();
  const ours = ourApi(text);
  let real: RealPrometheus;
  let url: string;

  beforeAll(async () => {
    real = await startRealPrometheus({ openMetrics: text });
    ({ url } = real);
  }, 60_000);
  afterAll(() => real[Symbol.asyncDispose]());

  const both = async (path: string) => {
    const [theirs, mine] = await Promise.all([fetch(url + path), ours.request(path)]);
    return [(await theirs.json()) as Reply, (await mine.json()) as Reply] as const;
  };

  test.each([...OWN, ...CORNERS])("%s", async (query) => {
    for (const time of INSTANTS) {
      const [theirs, mine] = await both(`/api/v1/query?${new URLSearchParams({ query, time: String(time) })}`);
      expect(comparable(mine)).toEqual(comparable(theirs));
    }
    for (const range of RANGES) {
      const [theirs, mine] = await both(`/api/v1/query_range?${new URLSearchParams({ query, ...range })}`);
      expect(comparable(mine)).toEqual(comparable(theirs));
    }
  });

  test("the queries find something, so that agreement means something", async () => {
    let found = 0;
    for (const query of OWN) {
      const path = `/api/v1/query_range?${new URLSearchParams({ query, start: String(BASE_S), end: String(BASE_S + 900), step: "15" })}`;
      const [theirs] = await both(path);
      if (theirs.data!.result.length > 0) found++;
    }
    expect(found).toBeGreaterThan(OWN.length * 0.9);
  });

  test.each([
    "/api/v1/labels",
    "/api/v1/label/job/values",
    "/api/v1/label/type/values?match[]=tikv_store_size_bytes",
    "/api/v1/series?match[]=up&match[]=service_member_role",
    "/api/v1/query?query=nosuch(",
    "/api/v1/query?query=rate(up)",
    "/api/v1/query?query=1==2",
    "/api/v1/query?query=sum(up",
    "/api/v1/query?query=",
    "/api/v1/query?query=up&time=yesterday",
    "/api/v1/query_range?query=up&start=2&end=1&step=1",
    "/api/v1/query_range?query=up&start=1&end=2&step=0",
    "/api/v1/query_range?query=up[1m]&start=1&end=2&step=1",
    "/api/v1/series",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/nosuch",
    "/api/v1/query?query=vector(1e21)&time=1",
    "/api/v1/query?query=vector(-1.5e-7)&time=1.5",
    "/api/v1/query?query=vector(1)/3&time=2015-10-21T07:28:00.5Z",
    "/api/v1/query?query=vector(0)/0&time=1",
    "/api/v1/query?query=-1/0&time=1",
    "/api/v1/query?query=123456789012345680000&time=1",
    '/api/v1/query?query="text"&time=1',
    "/api/v1/query?query=up[1m]&time=1760000300.5",
    "/api/v1/query_range?query=time()&start=1&end=2.5&step=500ms",
    "/api/v1/query?query=up&timeout=soon",
    "/api/v1/query_range?query=up&start=1&end=2&step=fast",
    "/api/v1/query_range?query=up&start=0&end=20000&step=1",
    "/api/v1/query_range?query=up&start=&end=20000&step=1",
    "/api/v1/query_exemplars?query=up&start=1&end=2",
    "/api/v1/labels?match[]=up{",
    "/api/v1/labels?match[]={job=~'.*'}",
    "/api/v1/series?match[]=up&start=1&end=2",
    "/api/v1/metadata",
    "/api/v1/alertmanagers",
    "/api/v1/status/walreplay",
    "/api/v1/rules?type=nosuch",
  ])("the API answers alike: %s", async (path) => {
    const [theirs, mine] = await Promise.all([fetch(url + path), ours.request(path)]);
    expect(mine.status).toBe(theirs.status);
    const [theirText, myText] = [await theirs.text(), await mine.text()];
    if (!theirText.startsWith("{")) return expect(myText).toBe(theirText);
    const [a, b] = [JSON.parse(theirText) as Reply, JSON.parse(myText) as Reply];
    // The words are those of 3.5, which the other tests compare.
    expect({ ...b, error: undefined, data: sorted(b.data) }).toEqual({ ...a, error: undefined, data: sorted(a.data) });
    // To the letter, but for the order of several series.
    if (a.data !== undefined && !Array.isArray(a.data)) expect(myText).toBe(theirText.trim());
  });
});

interface Reply {
  readonly status: string;
  readonly errorType?: string;
  readonly error?: string;
  readonly data?: { resultType: string; result: ResultItem[] };
}
type ResultItem = { metric: object; value?: [number, string]; values?: [number, string][] };

const sorted = (data: unknown) =>
  Array.isArray(data) ? data.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : data;

/** Without the order of series, and values to ten digits: sums differ in the last place by the order of addition. */
function comparable({ status, errorType, data }: Reply): unknown {
  if (data === undefined) return { status, errorType };
  if (data.resultType === "scalar") return data;
  const point = ([time, value]: [number, string]) => {
    const number = Number(value.replace("Inf", "Infinity"));
    return [time, Number.isFinite(number) ? Number(number.toPrecision(10)) : value];
  };
  const items = data.result.map(({ metric, value, values }) => ({
    metric: Object.fromEntries(Object.entries(metric).sort()),
    points: (values ?? (value === undefined ? [] : [value])).map(point),
  }));
  return { status, type: data.resultType, result: sorted(items) };
}

function ourApi(text: string): ReturnType<typeof prometheusApi> {
  const storage = new Storage({ retentionMs: Infinity, maxBytes: Infinity });
  for (const line of text.split("\n")) {
    const [sample] = parseExposition(line.replace(/ (\d+)$/, " $1000")).samples;
    if (sample?.timestampMs != null) storage.append(sample.labels, sample.timestampMs, sample.value);
  }
  return prometheusApi({
    clock: systemClock,
    storage,
    scrapers: [],
    groups: [],
    query: queryOptions,
    server: serverInfo,
    metrics: () => "",
  });
}

/** Fifteen minutes of a cluster with counters that are reset, gaps, a dead store and a PD leader change. */
function madeUpCluster(): string {
  const random = seededRandom("differential");
  const lines = new Map<string, string[]>();
  const put = (step: number, family: string, labels: string, value: number) => {
    const own = lines.get(family) ?? [];
    lines.set(family, own);
    own.push(`${family}{${labels}} ${value} ${BASE_S + step * STEP_S}`);
  };
  const counters = new Map<string, number>();
  const count = (key: string, by: number) => {
    counters.set(key, (counters.get(key) ?? 0) + by);
    return counters.get(key) as number;
  };
  for (let step = 0; step < STEPS; step++) {
    for (const [job, port, node] of [0, 1, 2].flatMap((n) => [["pd", 2379, n] as const, ["tikv", 20180, n] as const])) {
      const instance = `instance="${job}${node}:${port}",job="${job}"`;
      const dead = job === "tikv" && node === 1 && step >= 24 && step < 36;
      put(step, "up", instance, dead ? 0 : 1);
      if (dead || (step % 17 === 5 && node === 2)) {
        if (dead) for (const key of counters.keys()) if (key.includes(instance)) counters.set(key, 0);
        continue;
      }
      put(step, "process_resident_memory_bytes", instance, 1e8 + random.int(1e8));
      put(step, "process_cpu_seconds_total", instance, count(`cpu ${instance}`, random.next() * 9));
      put(
        step,
        "process_start_time_seconds",
        instance,
        BASE_S - 5_000 + (job === "tikv" && node === 1 && step >= 36 ? 5_540 : 0),
      );
      if (job === "pd") pdSamples(step, node, instance);
      else tikvSamples(step, node, instance);
    }
    for (const outcome of ["ok", "failed"])
      put(
        step,
        "client_requests_total",
        `job="client",outcome="${outcome}"`,
        count(`client ${outcome}`, random.int(90)),
      );
  }
  return [...lines.values()].flat().concat("# EOF", "").join("\n");

  function histogram(step: number, family: string, labels: string, most: number): void {
    let total = 0;
    for (const le of ["0.001", "0.01", "0.1", "1", "+Inf"]) {
      total += count(`${family} ${labels} ${le}`, random.int(most));
      put(step, `${family}_bucket`, `${labels},le="${le}"`, total);
    }
    put(step, `${family}_count`, labels, total);
  }
  function pdSamples(step: number, node: number, instance: string): void {
    const leader = step < 40 ? 0 : 2;
    put(step, "service_member_role", `${instance},service="PD"`, Number(node === leader));
    put(step, "etcd_server_is_leader", instance, Number(node === leader && step !== 40));
    put(step, "etcd_server_has_leader", instance, step === 40 ? 0 : 1);
    put(step, "etcd_server_leader_changes_seen_total", instance, step < 40 ? 1 : 2);
    put(step, "pd_scheduler_status", `${instance},kind="balance-leader-scheduler",type="allow"`, Number(step < 50));
    for (const type of ["store_disconnected_count", "store_down_count", "store_up_count"])
      put(
        step,
        "pd_cluster_status",
        `${instance},type="${type}"`,
        type === "store_up_count" ? 2 : Number(step > 25 && step < 36),
      );
    for (const type of ["miss", "down", "pending"])
      put(step, "pd_regions_status", `${instance},type="${type}-peer-region-count"`, random.int(3));
    put(step, "pd_hotspot_status", `${instance},type="hot_write_region_as_leader",store="${node}"`, step * 7 + node);
    histogram(step, "etcd_network_peer_round_trip_time_seconds", `${instance},To="x"`, 20);
    histogram(step, "etcd_disk_wal_fsync_duration_seconds", instance, 20);
  }
  function tikvSamples(step: number, node: number, instance: string): void {
    for (const type of ["raw_get", "raw_put"])
      histogram(step, "tikv_grpc_msg_duration_seconds", `${instance},type="${type}"`, 200);
    for (const family of [
      "request_wait_time_duration_secs",
      "apply_wait_time_duration_secs",
      "log_lag",
      "append_log_duration_seconds",
    ])
      histogram(step, `tikv_raftstore_${family}`, instance, 50);
    histogram(step, "tikv_pd_request_duration_seconds", `${instance},type="store_heartbeat"`, step > 48 ? 1 : 3);
    put(step, "tikv_grpc_msg_fail_total", `${instance},type="raw_put"`, count(`fail ${instance}`, random.int(3)));
    for (const status of ["success", "err_not_leader", "err_disk_full"])
      put(
        step,
        "tikv_storage_engine_async_request_total",
        `${instance},status="${status}",type="write"`,
        count(`async ${instance} ${status}`, random.int(9)),
      );
    put(
      step,
      "tikv_server_report_failure_msg_total",
      `${instance},store_id="4",type="unreachable"`,
      count(`unreachable ${instance}`, step > 24 && step < 36 ? 30 : 0),
    );
    put(step, "tikv_raftstore_region_count", `${instance},type="leader"`, 4 + random.int(4));
    put(step, "tikv_raftstore_slow_score", `${instance},type="raft"`, step > 45 && node === 0 ? 40 : 1);
    put(step, "tikv_engine_write_stall", `${instance},db="kv",type="write_stall_max"`, step > 45 ? 2e5 : 0);
    put(step, "tikv_scheduler_throttle_flow", instance, Number(step > 50));
    put(step, "tikv_store_size_bytes", `${instance},type="available"`, 6e10 - step * 1e8);
    put(step, "tikv_store_size_bytes", `${instance},type="capacity"`, 1e11);
    put(step, "tikv_server_cpu_cores_quota", instance, 2);
    put(step, "tikv_server_memory_quota_bytes", instance, 1e9);
  }
}
