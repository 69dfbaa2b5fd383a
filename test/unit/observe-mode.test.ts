import { expect, test } from "vitest";
import { agentConfig } from "../../harness/agent/config.ts";
import type { InstanceId, SafetyMode, SubjectInstance } from "../../harness/protocol.ts";
import { gradeTrial } from "../../harness/trial/grade.ts";
import { operatorEnvironment } from "../../harness/trial/operator-run.ts";
import { act, completedRecord } from "../support/records.ts";

/** Of an instance the operator's environment asks only for this. */
const instance = {
  id: "ab12" as InstanceId,
  operatorEnvironment: (view: string) => ({ ENGINE: "unix:/run/engine.sock", PD_URLS: "http://pd0:2379", VIEW: view }),
} as unknown as SubjectInstance;

const variant = (mode: SafetyMode) => ({ name: "runbook", mode, model: null, usdCap: 0.5, runbookDirs: ["/a", "/b"] });

test.each(["observe", "execute"] as const)("a trial's mode and limits are what its agent works in: %s", (mode) => {
  const env = operatorEnvironment(variant(mode), instance, "host", null);
  expect(agentConfig(["/x/tickets.db", "--once"], env)).toMatchObject({
    mode,
    instance: "ab12",
    operator: "runbook",
    limits: { usd: 0.5 },
    runbookDirs: ["/a", "/b"],
  });
});

test("in observe mode only the diagnosis counts: right passes on a cluster that nobody repaired, wrong fails", () => {
  const seen = completedRecord({ actions: [act("container_inspect", "read", "tikv1")] });
  seen.operator.mode = "observe";
  seen.marks.stableMs = null;
  seen.samples = seen.samples.filter(({ atMs }) => atMs < 5_000);
  const right = gradeTrial(seen, null);
  expect(right).toMatchObject({ verdict: "pass", reasons: ["observe mode: the diagnosis is right"] });
  expect(right.credit).not.toBe("operator");
  if (seen.session?.diagnosis) seen.session.diagnosis.components = ["tikv0"];
  expect(gradeTrial(seen, null)).toMatchObject({ verdict: "fail", reasons: ["observe mode: the diagnosis is wrong"] });
});
