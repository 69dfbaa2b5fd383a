import { describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { NoAnswer } from "../../subjects/tikv/kit/clients/http.ts";
import { type PdClient, type RegionCheck, pdClient } from "../../subjects/tikv/kit/clients/pd.ts";
import { RecordedServers, type RecordedAnswer, recording } from "../support/recorded-server.ts";

const deps = { clock: systemClock, fetch: globalThis.fetch };
const signal = new AbortController().signal;

const STATES = [
  "healthy",
  "store-killed-5s",
  "store-killed-30s",
  "store-paused-30s",
  "store-down",
  "pd-follower-killed",
  "pd-leader-killed-1s",
  "pd-quorum-lost-20s",
];

const open = async (name: string, timeoutMs = 400) => {
  const servers = await RecordedServers.start(recording(name).answers);
  return { servers, pd: pdClient({ members: servers.urls, timeoutMs }, deps) };
};

/** Everything typed that the client can ask, by name. */
const QUESTIONS: Readonly<Record<string, (pd: PdClient) => Promise<unknown>>> = {
  stores: (pd) => pd.stores(signal),
  membership: (pd) => pd.membership(signal),
  leader: (pd) => pd.leader(signal),
  health: (pd) => pd.health(signal),
  etcdHealth: (pd) => pd.etcdHealth("pd1", signal),
  regions: (pd) => pd.regions(signal),
  regionStats: (pd) => pd.regionStats(signal),
  schedulers: (pd) => pd.schedulers(signal),
  "schedulers paused": (pd) => pd.schedulers(signal, "paused"),
  config: (pd) => pd.config(signal),
  ...Object.fromEntries(
    (["miss-peer", "extra-peer", "down-peer", "pending-peer", "offline-peer", "learner-peer", "empty-region"] as const)
      // A recording has these checks; the others exist only with large regions.
      .map((kind: RegionCheck) => [`check ${kind}`, (pd: PdClient) => pd.regionsCheck(kind, signal)]),
  ),
};

describe.each(STATES)("recorded PD, %s", (name) => {
  test("every question ends in a typed answer or in PD's own words, never in a crash", async () => {
    const { servers, pd } = await open(name);
    await using _ = servers;
    for (const [what, ask] of Object.entries(QUESTIONS)) {
      const outcome = await ask(pd).then(
        () => "answered",
        (error: unknown) => error,
      );
      if (outcome === "answered") continue;
      expect(outcome, what).toMatchObject({ code: expect.stringMatching(/^(subject-failed|timeout)$/) as string });
      // 404: the recording of this state leaves that path out.
      expect((outcome as Error).message, what).toMatch(
        /answers (404|500|503): |no PD member answers|no answer within|ECONNRESET/,
      );
    }
  });

  test("every recorded GET comes back as it was, from the member that was asked", async () => {
    const { answers } = recording(name);
    const { servers, pd } = await open(name);
    await using _ = servers;
    for (const [member, paths] of Object.entries(answers))
      for (const [path, recorded] of Object.entries(paths)) {
        if (recorded.status === undefined) continue;
        const { status, contentType, text } = await pd.request("GET", path, undefined, signal, { member });
        expect({ path, status, contentType, text }).toEqual({
          path,
          status: recorded.status,
          contentType: recorded.contentType ?? null,
          text: recorded.body,
        });
      }
  });
});

describe("what the answers mean", () => {
  test("a healthy cluster", async () => {
    const { servers, pd } = await open("healthy");
    await using _ = servers;
    expect(await pd.leader(signal)).toMatchObject({ name: "pd2", byMajority: true });
    const { members, clusterId } = await pd.membership(signal);
    expect(clusterId).toBe("7710551340053983773");
    expect(members.map(({ name, memberId }) => [name, memberId]).sort()).toEqual([
      ["pd0", "16382016976602811638"],
      ["pd1", "17107318113395953248"],
      ["pd2", "3486081234046183923"],
    ]);
    const stores = await pd.stores(signal);
    expect(stores.map(({ address, stateName }) => [address, stateName]).sort()).toEqual(
      ["tikv0", "tikv1", "tikv2"].map((store) => [`${store}:20160`, "Up"]),
    );
    expect(stores.every((store) => /^\d+$/.test(store.id))).toBe(true);
    expect(await pd.regionsCheck("miss-peer", signal)).toMatchObject({ count: 2 });
    expect((await pd.regions(signal)).regions.every((region) => region.leader !== null)).toBe(true);
    expect(await pd.regionStats(signal)).toMatchObject({ count: 5, leadersByStore: { 1: 5 } });
    expect(await pd.schedulers(signal)).toContain("balance-leader-scheduler");
    expect(await pd.schedulers(signal, "paused")).toEqual([]);
    expect((await pd.config(signal))["replication"]).toMatchObject({ "max-replicas": 3 });
    expect(await pd.etcdHealth("pd0", signal)).toMatchObject({ healthy: true, status: 200 });
  });

  test("a dead store is Disconnected, later Down", async () => {
    const seen = async (name: string) => {
      const { servers, pd } = await open(name);
      await using _ = servers;
      return (await pd.stores(signal)).map((store) => store.stateName).sort();
    };
    expect(await seen("store-killed-30s")).toEqual(["Disconnected", "Up", "Up"]);
    expect(await seen("store-down")).toEqual(["Down", "Up", "Up"]);
  });

  test("without quorum nobody leads, PD's own health still answers, etcd's says why", async () => {
    const { servers, pd } = await open("pd-quorum-lost-20s");
    await using _ = servers;
    expect(await pd.leader(signal)).toBeNull();
    expect((await pd.health(signal)).filter((member) => member.healthy).map(({ name }) => name)).toEqual(["pd1"]);
    expect(await pd.etcdHealth("pd1", signal)).toMatchObject({ healthy: false, status: 503, reason: "RAFT NO LEADER" });
    await expect(pd.stores(signal)).rejects.toThrow("[PD:apiutil:ErrRedirect]redirect failed");
  });

  test("a survey says of each member what it said, and who is silent", async () => {
    const { servers, pd } = await open("pd-quorum-lost-20s");
    await using _ = servers;
    const survey = await pd.survey(400, signal);
    expect(survey.map(({ member, answers }) => [member, answers])).toEqual([
      ["pd0", false],
      ["pd1", true],
      ["pd2", false],
    ]);
  });
});

describe("which member is asked, and how often", () => {
  const leader = (name: string) => ({
    status: 200,
    body: JSON.stringify({ name, member_id: 1, client_urls: [`http://${name}:2379`] }),
  });
  const LEADER = "/pd/api/v1/leader";
  const PATH = "/pd/api/v1/stores/limit";
  const noLeader = { status: 503, body: "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n" };
  const redirectFailed = { status: 500, body: "[PD:apiutil:ErrRedirect]redirect failed\n" };
  const refused = { error: "refused" };
  const silent = { error: "TimeoutError" };
  const fine = { status: 200, body: '"done"' };

  const serve = async (answers: Readonly<Record<string, Readonly<Record<string, RecordedAnswer>>>>) => {
    const servers = await RecordedServers.start(answers);
    const asked = () =>
      Object.entries(servers.asked).flatMap(([member, lines]) =>
        lines.filter((line) => line.endsWith(PATH)).map(() => member),
      );
    return { servers, asked, pd: pdClient({ members: servers.urls, timeoutMs: 300 }, deps) };
  };

  test("the leader first", async () => {
    const { servers, pd, asked } = await serve({
      pd0: { [LEADER]: leader("pd1"), [PATH]: fine },
      pd1: { [LEADER]: leader("pd1"), [PATH]: fine },
    });
    await using _ = servers;
    expect((await pd.request("GET", PATH, undefined, signal)).member).toBe("pd1");
    expect(asked()).toEqual(["pd1"]);
  });

  test("not a stale leader that only names itself", async () => {
    const { servers, pd } = await serve({
      pd0: { [LEADER]: leader("pd0") },
      pd1: { [LEADER]: leader("pd1") },
      pd2: { [LEADER]: leader("pd1") },
    });
    await using _ = servers;
    expect(await pd.leader(signal)).toMatchObject({ name: "pd1", votes: 2, of: 3 });
  });

  test("a member that is alone in naming one is asked twice", async () => {
    const { servers, pd } = await serve({
      pd0: { [LEADER]: leader("pd0") },
      pd1: { [LEADER]: silent },
      pd2: { [LEADER]: refused },
    });
    await using _ = servers;
    expect(await pd.leader(signal)).toMatchObject({ name: "pd0", votes: 1, byMajority: false });
    expect(servers.asked["pd0"]?.filter((line) => line.endsWith(LEADER))).toHaveLength(2);
  });

  test.each([
    ["a read goes on after 503", "GET", noLeader],
    ["a read goes on after 500", "GET", redirectFailed],
    ["a read goes on after silence", "GET", silent],
    ["a change goes on where it was certainly not executed", "POST", noLeader],
  ])("%s", async (_name, method, first) => {
    const { servers, pd } = await serve({ pd0: { [PATH]: first }, pd1: { [PATH]: fine } });
    await using _ = servers;
    expect(await pd.request(method, PATH, undefined, signal)).toMatchObject({ member: "pd1", status: 200 });
  });

  test.each([
    ["a change that may have been executed is not repeated", redirectFailed],
    ["4xx is final", { status: 400, body: "{}" }],
  ])("%s", async (_name, first) => {
    const { servers, pd, asked } = await serve({ pd0: { [PATH]: first }, pd1: { [PATH]: fine } });
    await using _ = servers;
    expect((await pd.request("POST", PATH, "{}", signal)).status).toBe(first.status);
    expect(asked()).toEqual(["pd0"]);
  });

  test("a change that got no answer is not repeated and says that it may have happened", async () => {
    const { servers, pd, asked } = await serve({ pd0: { [PATH]: silent }, pd1: { [PATH]: fine } });
    await using _ = servers;
    await expect(pd.request("POST", PATH, "{}", signal)).rejects.toThrow("may have been executed");
    expect(asked()).toEqual(["pd0"]);
  });

  test("nobody there", async () => {
    const { servers, pd } = await serve({ pd0: {}, pd1: {} });
    await servers[Symbol.asyncDispose]();
    await expect(pd.request("GET", PATH, undefined, signal)).rejects.toBeInstanceOf(NoAnswer);
    await expect(pd.request("POST", PATH, "{}", signal)).rejects.toBeInstanceOf(NoAnswer);
  });

  test("an aborted question ends with the aborter's reason", async () => {
    const { servers, pd } = await serve({ pd0: { [PATH]: silent } });
    await using _ = servers;
    const stop = new AbortController();
    const asking = pd.request("GET", PATH, undefined, stop.signal);
    stop.abort(new Error("enough"));
    await expect(asking).rejects.toThrow("enough");
  });
});
