import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { EXIT } from "../../harness/cli/exit-codes.ts";
import { isAnswer, readMetrics, readRecording } from "../../subjects/tikv/check/recording.ts";
import { lab } from "../support/cli.ts";
import { RecordedServers, type RecordedAnswer } from "../support/recorded-server.ts";

type Answers = Record<string, RecordedAnswer>;
const MEMBERS = ["pd0", "pd1", "pd2"] as const;
const IDS = { pd0: "16382016976602811638", pd1: "17107318113395953248", pd2: "3486081234046183923" };

/** The recorded healthy cluster as real servers, with what a live one would also have. */
function healthy(): Record<string, Answers> {
  const { answers } = readRecording("healthy");
  return Object.fromEntries(
    MEMBERS.map((member) => {
      const own = answers[member] ?? {};
      const store = own["/pd/api/v1/store/1"] as RecordedAnswer;
      const unknownRegion = own["/pd/api/v1/region/id/2"] as RecordedAnswer;
      const metrics = readMetrics(member === "pd2" ? "leader" : "pd0");
      return [
        member,
        {
          ...(own as Answers),
          ...Object.fromEntries(["2", "3"].map((id) => [`/pd/api/v1/store/${id}`, store])),
          "/pd/api/v1/region/id/9007199254740991": unknownRegion,
          "/metrics": { status: 200, contentType: "text/plain", body: metrics },
          "/v3/maintenance/status": { status: 200, body: JSON.stringify({ header: { member_id: IDS[member] } }) },
        },
      ];
    }),
  );
}

async function checked(answers: Record<string, Answers>, ...flags: string[]) {
  const servers = await RecordedServers.start(answers);
  onTestFinished(() => servers[Symbol.asyncDispose]());
  const { code, out, err } = await lab([
    "subject",
    "check",
    "tikv",
    "--pd",
    Object.values(servers.urls).join(","),
    ...flags,
  ]);
  return { code, out, err, servers };
}

describe("lab subject check tikv --pd", () => {
  test("a PD that answers as recorded has nothing to report", async () => {
    const { code, out } = await checked(healthy());
    expect(out).toMatch(
      /^3 members, 195 answers compared, 0 differ \(0\.0 %\); of \d{4} keys and series 0 \(0\.0 %\)\n$/,
    );
    expect(code).toBe(0);
  });

  test("planted differences are reported one by one, ready to hand on", async () => {
    const answers = healthy();
    const plant = (member: string, path: string, change: (before: RecordedAnswer) => RecordedAnswer) =>
      Object.assign(answers[member] as Answers, {
        [path]: change((answers[member] as Answers)[path] as RecordedAnswer),
      });
    const edit = (from: string, to: string) => (before: RecordedAnswer) => ({
      ...before,
      body: (before.body ?? "").replaceAll(from, to),
    });
    plant("pd0", "/pd/api/v1/regions/count", (before) => ({ ...before, status: 503 }));
    plant("pd0", "/pd/api/v1/cluster", (before) => ({ ...before, contentType: "text/plain; charset=utf-8" }));
    plant("pd2", "/pd/api/v1/stores", edit('"state_name"', '"stateName"'));
    plant("pd2", "/pd/api/v1/store/999", edit("not found", "unknown"));
    plant("pd1", "/pd/api/v1/config", edit('"lease": 5', '"lease": "5"'));
    plant("pd1", "/metrics", edit("etcd_server_has_leader", "etcd_has_leader"));
    const { code, out, servers } = await checked(answers);
    expect(code).toBe(EXIT.notPassed);
    const reports = out.split(/^\d+\. /m).slice(1);
    const told = (path: string, member: string) =>
      reports.find((text) => text.startsWith(`GET ${path} through ${member}, `));
    expect(told("/pd/api/v1/regions/count", "pd0")).toMatch(/differs: status code: expected 200 .*, got 503/);
    expect(told("/pd/api/v1/cluster", "pd0")).toContain(
      "differs: content type: expected application/json; charset=UTF-8, got text/plain",
    );
    expect(told("/pd/api/v1/stores", "pd2")).toContain(
      "differs: missing .stores[].store.state_name: expected string, got absent",
    );
    expect(told("/pd/api/v1/stores", "pd2")).toContain("differs: not in the recording .stores[].store.stateName");
    expect(told("/pd/api/v1/store/999", "pd2")).toContain("differs: words");
    expect(told("/pd/api/v1/config", "pd1")).toContain("differs: type .lease: expected number, got string");
    expect(told("/metrics", "pd1")).toContain("differs: missing etcd_server_has_leader: expected gauge, got absent");
    expect(told("/pd/api/v1/config", "pd1")).toContain(
      `reproduce: curl -sS -i '${servers.urls["pd1"]}/pd/api/v1/config'`,
    );
    expect(reports).toHaveLength(6);
    expect(out).toMatch(/195 answers compared, 6 differ \(3\.1 %\)/);
  });

  test("--json says the same to a program", async () => {
    const answers = healthy();
    Object.assign(answers["pd2"] as Answers, {
      "/livez": { status: 200, contentType: "text/plain; charset=utf-8", body: "well\n" },
    });
    const { code, out } = await checked(answers, "--json");
    expect(code).toBe(EXIT.notPassed);
    expect(JSON.parse(out)).toMatchObject({
      version: "v8.5.7",
      answers: 195,
      findings: [
        {
          member: { name: "pd2", role: "leader" },
          path: "/livez",
          differences: [{ kind: "text", wanted: "ok", got: "well" }],
          reproduce: expect.stringMatching(/^curl .*\/livez'$/) as string,
        },
      ],
    });
  });

  test("nothing is asked but GETs, and one question which member answers", async () => {
    const { servers } = await checked(healthy());
    const asked = Object.values(servers.asked).flat();
    expect(
      asked.filter((line) => !line.startsWith("GET ")).filter((line) => line !== "POST /v3/maintenance/status"),
    ).toEqual([]);
  });

  test("nobody there, no leader, no PD at all, both flags: one sentence each", async () => {
    const dead = await lab(["subject", "check", "tikv", "--pd", "http://127.0.0.1:1"]);
    expect(dead).toMatchObject({ code: EXIT.failed, out: "" });
    expect(dead.err).toMatch(/^error: PD cannot be asked: http:\/\/127\.0\.0\.1:1 does not answer .*\n$/);

    const leaderless = healthy();
    const gone = {
      status: 503,
      contentType: "text/plain; charset=utf-8",
      body: "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n",
    };
    for (const own of Object.values(leaderless)) own["/pd/api/v1/members"] = gone;
    expect((await checked(leaderless)).err).toMatch(/^error: PD cannot be asked: .*ErrRedirectNoLeader/);

    const other = createServer((_, reply) => void reply.end("<html>"));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void other.close());
    const web = await lab(["subject", "check", "tikv", "--pd", `127.0.0.1:${(other.address() as AddressInfo).port}`]);
    expect(web.err).toMatch(/^error: .* is not a PD/);

    const both = await lab(["subject", "check", "tikv", "--pd", "http://127.0.0.1:1", "--attach", "x"]);
    expect(both).toMatchObject({
      code: EXIT.usage,
      err: "error: --attach and --pd name two clusters: give one of them\n",
    });
  });

  test("every recorded question is one of them", () => {
    const answers = readRecording("healthy").answers["pd2"] ?? {};
    expect(Object.values(answers).filter(isAnswer)).toHaveLength(64);
  });
});
