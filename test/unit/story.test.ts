import { expect, it } from "vitest";
import { gradeTrial } from "../../harness/trial/grade.ts";
import { story } from "../../harness/view/story.ts";
import { completedRecord } from "../support/records.ts";

const where = { folder: "runs/x", next: "npx lab run tikv/store-hang" };

it("tells a passed trial in one fact a line", () => {
  const record = completedRecord();
  record.grade = gradeTrial(record, null);
  expect(story(record, where)).toBe(`TiKV stand-in, time factor 0.2
broke tikv1 at 0.0 s (SIGKILL, seed 7)
clients: 1,204 operations: 1,150 ok, 13 failed, 41 unknown; 9.8 s below target
ticket #1 at 1.6 s: tikv1 does not answer
operator (scripted: shows the lab, says nothing about AI): "process-stopped tikv1", right
acted at 6.1 s: start tikv1
stable at 13.0 s
no stored runs without an operator for this key -> credit: operator's doing: not shown
acknowledged writes lost: 0 of 602
blinding: partial (no container)
PASS
record: runs/x
next: npx lab run tikv/store-hang
`);
});

it("says why a failed one failed, and what the lab had to heal", () => {
  const record = completedRecord({ actions: [], session: null });
  record.injections[0]!.healedByLab = true;
  record.marks.stableMs = null;
  record.samples = record.samples.filter((sample) => sample.atMs < 7_000);
  record.grade = gradeTrial(record, null);
  const text = story(record, where);
  expect(text).toContain("healed by the lab at the end: tikv1");
  expect(text).toMatch(/mitigated: the hypothesis holds again and stays so .*store_up.*\nFAIL\n/);
});

it("a void trial is no verdict on the operator", () => {
  const record = completedRecord({
    status: "void",
    voidReason: { code: "subject-failed", message: "pd0 did not start" },
  });
  expect(story(record, where)).toContain("VOID: pd0 did not start");
  expect(story(record, where)).not.toMatch(/^PASS$|^FAIL$/m);
});

it("tells which plane did what, and whether the audit is what was written", () => {
  const record = completedRecord();
  record.grade = gradeTrial(record, null);
  const audit = { intact: true, lines: 1_036, head: "0", findings: [] };
  record.control = {
    mode: "compose",
    plane: "compose_agent",
    commands: { compose_agent: 515, status_panel: 2 },
    outcomes: { ok: 515, failed: 0, refused: 2, unknown: 0 },
    audit,
  };
  expect(story(record, where)).toContain(
    "control plane: commands 515 by compose_agent, 2 by status_panel: 515 ok, 2 refused\naudit: intact, 1,036 lines verified\n",
  );
  record.control = { ...record.control, audit: { ...audit, intact: false } };
  expect(story(record, where)).toContain("audit: NOT WHAT WAS WRITTEN");
  record.control = { mode: "legacy", plane: "status_panel", commands: {}, outcomes: {}, audit: null };
  expect(story(record, where)).not.toContain("audit");
});
