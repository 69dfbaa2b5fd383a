import { describe, expect, test } from "vitest";
import { compareAnswers } from "../../subjects/tikv/check/compare.ts";
import { masked } from "../../subjects/tikv/check/masks.ts";
import { compareMetrics } from "../../subjects/tikv/check/metrics.ts";
import { reportText, summaryText } from "../../subjects/tikv/check/report.ts";

const JSON_TYPE = "application/json; charset=UTF-8";
const answer = (body: string, status = 200, contentType: string | null = JSON_TYPE) => ({
  status,
  contentType,
  body,
  ms: 1,
});
const pretty = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
const differ = (wanted: ReturnType<typeof answer>, got: ReturnType<typeof answer>) =>
  compareAnswers(wanted, got).differences;

describe("every kind of planted difference is found, where it is", () => {
  const wanted = answer(pretty({ count: 1, stores: [{ store: { id: 4, state_name: "Up" }, weight: 1.5 }] }));
  const changed = (value: unknown) => differ(wanted, answer(pretty(value)));

  test.each([
    ["status", answer("{}", 500), "status", ""],
    ["content type", answer(wanted.body, 200, "application/octet-stream"), "content-type", ""],
    ["layout", answer(JSON.stringify(JSON.parse(wanted.body))), "layout", ""],
  ])("%s", (_, got, kind, at) => expect(differ(wanted, got)).toMatchObject([{ kind, at }]));

  test("a key that is missing, one too many, one of another type", () => {
    expect(changed({ count: 1, stores: [{ store: { id: 4 }, weight: 1 }] })).toMatchObject([
      { kind: "missing-key", at: ".stores[].store.state_name", wanted: "string" },
    ]);
    expect(changed({ count: 1, stores: [{ store: { id: 4, state_name: "Up", mood: "" }, weight: 1 }] })).toMatchObject([
      { kind: "extra-key", at: ".stores[].store.mood", got: "string" },
    ]);
    expect(changed({ count: "1", stores: [{ store: { id: 4, state_name: "Up" }, weight: 1 }] })).toMatchObject([
      { kind: "type", at: ".count", wanted: "number", got: "string" },
    ]);
  });

  test("values and the number of items are each cluster's own", () => {
    const other = { store: { id: 9, state_name: "Down" }, weight: 0 };
    expect(changed({ count: 2, stores: [other, other] })).toEqual([]);
  });

  test("an empty list says nothing about its items, null is not an empty list", () => {
    expect(changed({ count: 0, stores: [] })).toEqual([]);
    const none = answer(pretty({ regions: null }));
    expect(differ(none, answer(pretty({ regions: [] })))).toMatchObject([{ kind: "missing-key", at: ".regions" }]);
    expect(differ(none, answer(pretty({ regions: [1] })))).toEqual([]);
  });

  test("what PD leaves out while it is zero may be there or not", () => {
    const busy = { store: { id: 1, state: 1 }, status: { is_busy: true } };
    expect(differ(answer(pretty(busy)), answer(pretty({ store: { id: 1 }, status: {} })))).toEqual([]);
  });

  test("words: messages, error objects and lists of names, whatever their order", () => {
    const message = (text: string, status: number) => answer(`${JSON.stringify(text)}\n`, status);
    expect(differ(message("store 4 not found", 404), message("store 17 not found", 404))).toEqual([]);
    expect(differ(message("store 4 not found", 404), message("no store 4", 404))).toMatchObject([{ kind: "text" }]);
    expect(differ(answer('["a-x","b-x"]'), answer('["b-x","a-x"]'))).toEqual([]);
    expect(differ(answer('["a-x","b-x"]'), answer('["b-x"]'))).toMatchObject([{ kind: "text" }]);
  });

  test("a metric's name, its type, its labels", () => {
    const text = (lines: string) => lines;
    const theirs = text('# TYPE pd_regions_status gauge\npd_regions_status{type="miss-peer-region-count"} 0\n');
    expect(compareMetrics(theirs, "").differences).toMatchObject([{ kind: "missing-key", at: "pd_regions_status" }]);
    const ours = '# TYPE pd_regions_status counter\npd_regions_status{type="miss-peer-region-count",store="1"} 0\n';
    expect(compareMetrics(theirs, ours).differences.map(({ kind, at }) => [kind, at])).toEqual([
      ["type", "pd_regions_status"],
      ["missing-key", "pd_regions_status{type}"],
      ["extra-key", "pd_regions_status{store,type}"],
    ]);
    expect(compareMetrics(theirs, theirs)).toMatchObject({ differences: [] });
  });
});

test("masks hide what is a server's own, and nothing else", () => {
  const said = (n: number) =>
    `operator ${n} of http://pd${n}:2379, at 2026-11-21 09:35:2${n}.6678 +0000 UTC m=+20${n}.1, 7480000${n}00FF`;
  expect(masked(said(1))).toBe(masked(said(7)));
  expect(masked("store 1 is Up")).not.toBe(masked("store 1 is Down"));
});

test("a report says what was asked, through whom, what differs and how to see it", () => {
  const member = { name: "pd1", url: "http://h:1", role: "follower" } as const;
  const finding = {
    member,
    path: "/pd/api/v1/store/7",
    recordedFrom: "healthy, pd0",
    recordedPath: "/pd/api/v1/store/1",
    differences: [{ kind: "missing-key", at: ".store.version", wanted: "string", got: "absent" } as const],
  };
  const result = {
    version: "v8.5.0",
    recordedFrom: "PD v8.5.7",
    members: [member],
    answers: 40,
    leaves: 200,
    findings: [finding],
  };
  expect(reportText(result)).toBe(
    [
      "1. GET /pd/api/v1/store/7 through pd1, a follower (says it is v8.5.0)",
      "   expected: as PD v8.5.7 answered",
      "             (recording healthy, pd0, there /pd/api/v1/store/1)",
      "   differs: missing .store.version: expected string, got absent",
      "   reproduce: curl -sS -i 'http://h:1/pd/api/v1/store/7'",
      "",
    ].join("\n"),
  );
  expect(summaryText(result)).toBe("1 member, 40 answers compared, 1 differ (2.5 %); of 200 keys and series 1 (0.5 %)");
});
