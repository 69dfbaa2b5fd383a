import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { noPrometheus, startRealPrometheus, type RealPrometheus } from "../support/promql/real-prometheus.ts";

const PROGRAM = path.join(import.meta.dirname, "../../subjects/common/prometheus/main.ts");
const METRICS = `value{name="large"} 1234567.891
value{name="small"} 0.000321
value{name="time"} 1500000000.5
value{name="negative"} -90061.5
requests_total{code="200"} 5
requests_total{code="500"} 7
`;

/** Each is expanded by both, and has to come out alike. */
const TEMPLATES = [
  'plain text, and {{ "a constant" }}',
  "{{ $labels.name }} {{ .Labels.job }} {{ $labels.nosuch }}|{{ $value }}|{{ .Value }}",
  "{{ $value | humanize }} {{ $value | humanize1024 }} {{ $value | humanizeDuration }} {{ $value | humanizePercentage }}",
  "{{ humanizeTimestamp $value }} {{ humanizeTimestamp 1.5 }} {{ humanizeTimestamp 1e9 }}",
  '{{ humanize 0.0 }} {{ humanize 1000000 }} {{ humanize "12345" }} {{ humanize1024 1048576.0 }} {{ humanizeDuration 0.02 }}',
  "{{ humanizeDuration 59.9999 }} {{ humanizeDuration 3600.0 }} {{ humanizeDuration 86400 }} {{ humanizeDuration 899.99 }}",
  '{{ printf "%.2f|%5.1f|%-8s|%d|%v|%q|%e|%g|%x|%%|%05d|%+d" $value 2.25 "ab" 42 $value "q" 1234.5 0.1 255 7 3 }}',
  '{{ printf "%s %d" $labels.name }} {{ printf "%d" 1.5 }} {{ printf "x" 1 }}',
  "{{ if gt $value 100.0 }}high{{ else if lt $value 0.0 }}below{{ else }}low{{ end }}",
  '{{ if and (eq $labels.name "large") (not (eq $labels.job "x")) }}both{{ end }}{{ if or false "" 0 }}no{{ else }}none{{ end }}',
  '{{ with query "requests_total" }}{{ range . }}{{ .Labels.code }}={{ .Value }} {{ end }}{{ end }}',
  '{{ query "requests_total" | sortByLabel "code" | first | value }} {{ query "requests_total" | len }}',
  '{{ with query "nosuch" }}there{{ else }}nothing{{ end }}',
  '{{ range $i, $s := query "requests_total" | sortByLabel "code" }}{{ $i }}:{{ label "code" $s }} {{ end }}',
  '{{ reReplaceAll "(.*)a(.*)" "$2-$1" $labels.name }} {{ match "^l.*e$" $labels.name }} {{ title "some words" }} {{ toUpper "a" }}{{ toLower "B" }}',
  '{{ stripPort "host:80" }} {{ stripPort "[::1]:80" }} {{ stripDomain "a.b.c:9" }} {{ stripDomain "10.0.0.1:9" }} {{ stripDomain "a.b" }}',
  '{{ $x := 5 }}{{ $y := "text" }}{{ $x }}{{ $y }}{{ $x = 6 }}{{ $x }}',
  "a {{- 1 -}} b {{ 2 }} {{- /* nothing */ -}} c",
  '{{ len $labels.name }} {{ index $labels "name" }} {{ print 1 2 "a" "b" 3 }} {{ println "x" }}{{ html "<a&b>" }} {{ urlquery "a b&c" }}',
  '{{ graphLink "up == 0" }} {{ tableLink "sum(up)" }} {{ args 1 "b" }}',
  '{{ parseDuration "1h30m" }} {{ 1.5e3 }} {{ 0x10 }} {{ `raw \\n` }} {{ true }} {{ 100000 }} {{ 1e6 }} {{ 1e-5 }} {{ 1e21 }}',
  "{{ $externalLabels.cluster }} {{ $labels }}",
];

const RULES = stringify({
  groups: [
    {
      name: "recorded",
      interval: "1s",
      rules: [
        { record: "job:requests:sum", expr: "sum by (job) (requests_total)", labels: { kind: "recorded" } },
        {
          record: "job:requests:ratio",
          expr: 'requests_total{code="500"} / ignoring(code) group_left () sum by(job) (requests_total)',
        },
        { record: "broken", expr: "requests_total * on() group_left() requests_total" },
      ],
    },
    {
      name: "alerts",
      limit: 50,
      rules: [
        {
          alert: "Templates",
          expr: "value",
          labels: { severity: "page", of: "{{ $labels.name | toUpper }}" },
          annotations: Object.fromEntries(TEMPLATES.map((text, index) => [`t${index}`, text])),
        },
        { alert: "Pending", expr: "up == 1", for: "1h", keep_firing_for: "5m" },
        {
          alert: "Firing",
          expr: "job:requests:sum > 10 and on () vector(1)",
          for: "2s",
          annotations: { summary: "{{ $value }}" },
        },
        { alert: "Inactive", expr: 'absent(up{job="metrics"})', labels: { empty: "" } },
      ],
    },
  ],
});

const reason = "Debian's prometheus package is not installed";
if (noPrometheus && process.env["CI"] !== undefined) throw new Error(reason);

describe.skipIf(noPrometheus)(`rules beside a real Prometheus${noPrometheus ? ` (${reason})` : ""}`, () => {
  let folder: string;
  let target: Server;
  let real: RealPrometheus;
  let ours: ChildProcess;
  let url: string;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "rules-"));
    target = createServer((_, reply) => reply.end(METRICS));
    target.listen(0, "127.0.0.1");
    await once(target, "listening");
    const config = stringify({
      global: {
        scrape_interval: "1s",
        scrape_timeout: "900ms",
        evaluation_interval: "1s",
        external_labels: { cluster: "made-up" },
      },
      rule_files: ["*.rules.yml"],
      scrape_configs: [
        {
          job_name: "metrics",
          static_configs: [
            { targets: [`127.0.0.1:${(target.address() as AddressInfo).port}`], labels: { instance: "one" } },
          ],
        },
      ],
    });
    const files = { "prometheus.yml": config, "made-up.rules.yml": RULES };
    real = await startRealPrometheus({ files });
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, "close");
    url = `http://127.0.0.1:${port}`;
    ours = run(folder, [`--web.listen-address=127.0.0.1:${port}`]);
    for await (const line of createInterface({ input: ours.stderr! })) if (line.includes("ready to receive")) break;
    const patience = { clock: systemClock, timeoutMs: 60_000, everyMs: 200 };
    for (const server of [url, real.url]) {
      const settled = async () =>
        /"Pending".*"state":"firing","name":"Firing"/s.test(JSON.stringify(await get(server, "rules")));
      await waitFor(settled, { ...patience, what: `the alert of ${server}` });
    }
  }, 120_000);
  afterAll(async () => {
    ours.kill("SIGTERM");
    if (ours.exitCode === null) await once(ours, "exit");
    await real[Symbol.asyncDispose]();
    target.closeAllConnections();
    target.close();
    rmSync(folder, { recursive: true });
  });

  test.each(["rules", "rules?type=alert", "rules?type=record", "alerts", "rules?type=nosuch"])(
    "/api/v1/%s is the same but for times",
    async (what) => {
      expect(comparable(await get(url, what))).toEqual(comparable(await get(real.url, what)));
    },
  );

  test.each(["ALERTS", "ALERTS_FOR_STATE * 0", "job:requests:sum", "job:requests:ratio", "broken"])(
    "query %s",
    async (query) => {
      const of = async (server: string) => {
        const { data } = (await get(server, `query?${new URLSearchParams({ query })}`)) as {
          data: { result: { metric: object; value: [number, string] }[] };
        };
        return data.result
          .map(({ metric, value: [, value] }) => JSON.stringify([Object.entries(metric).sort(), value]))
          .sort();
      };
      expect(await of(url)).toEqual(await of(real.url));
    },
  );

  test.each([
    ["rule_name[]=Firing", ["Firing"]],
    ["rule_group[]=recorded", ["job:requests:sum", "job:requests:ratio", "broken"]],
    ['match[]={severity="page"}', ["Templates"]],
    ["file[]=nosuch.yml", []],
    ["group_limit=1", ["Templates", "Pending", "Firing", "Inactive"]],
  ])("3.5 filters too: %s", async (filter, names) => {
    const { data } = (await get(url, `rules?${filter}`)) as { data: { groups: { rules: { name: string }[] }[] } };
    expect(data.groups.flatMap(({ rules }) => rules.map(({ name }) => name))).toEqual(names);
  });

  test.each([
    [
      "an expression",
      { groups: [{ name: "a", rules: [{ alert: "X", expr: "up ==" }] }] },
      /group "a", rule 1, "X": could not parse expression: 1:6: parse error: unexpected end of input/,
    ],
    [
      "a template",
      { groups: [{ name: "a", rules: [{ alert: "X", expr: "up", annotations: { s: "{{ nosuch }}" } }] }] },
      /annotation "s".*function "nosuch" not defined/,
    ],
    ["a group twice", { groups: [{ name: "a" }, { name: "a" }] }, /groupname: "a" is repeated/],
    [
      "neither record nor alert",
      { groups: [{ name: "a", rules: [{ expr: "up" }] }] },
      /one of 'record' or 'alert' must be set/,
    ],
    [
      "a recorded rule that waits",
      { groups: [{ name: "a", rules: [{ record: "x", expr: "up", for: "5m" }] }] },
      /invalid field 'for' in recording rule/,
    ],
    ["a key that nobody knows", { groups: [{ name: "a", rules: [{ record: "x", expr: "up", nosuch: 1 }] }] }, /nosuch/],
  ])("a rule file with a wrong thing (%s) is refused at the start, by name", async (_, rules, message) => {
    const own = mkdtempSync(path.join(tmpdir(), "bad-rules-"));
    writeFileSync(path.join(own, "prometheus.yml"), "rule_files: [bad.yml]\n");
    writeFileSync(path.join(own, "bad.yml"), stringify(rules));
    const child = run(own, ["--web.listen-address=127.0.0.1:0"]);
    let text = "";
    child.stderr!.on("data", (chunk) => (text += String(chunk)));
    await once(child, "close");
    expect(JSON.parse(text)).toMatchObject({ event: expect.stringMatching(message) as string });
    expect(text).toContain("bad.yml");
    expect(child.exitCode).toBe(2);
    rmSync(own, { recursive: true });
  });
});

function run(cwd: string, flags: readonly string[]): ChildProcess {
  const all = [PROGRAM, "--config.file=prometheus.yml", "--storage.tsdb.path=data", ...flags];
  return spawn(process.execPath, all, { cwd, stdio: ["ignore", "inherit", "pipe"] });
}

async function get(server: string, what: string): Promise<object> {
  return (await (await fetch(`${server}/api/v1/${what}`)).json()) as object;
}

function hasNone(group: unknown): boolean {
  return (
    typeof group === "object" &&
    group !== null &&
    "rules" in group &&
    Array.isArray(group.rules) &&
    group.rules.length === 0
  );
}

/** Without times and addresses; alerts in an order of their own. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) {
    // 3.5 leaves out the groups of which a filter leaves nothing.
    const items = value.filter((item) => !hasNone(item)).map(comparable);
    const labelled = items.every((item) => typeof item === "object" && item !== null && "activeAt" in item);
    return labelled ? items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items;
  }
  if (typeof value !== "object" || value === null) return value;
  const masked = (key: string, of: unknown) => {
    if (/^(evaluationTime|lastEvaluation|activeAt)$/.test(key)) return typeof of;
    if (key === "error" || key === "lastError") return typeof of === "string" ? of.slice(0, 40) : of;
    return comparable(of);
  };
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, masked(key, of)]));
}
