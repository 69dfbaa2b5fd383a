import { describe, expect, test } from "vitest";
import { buildTools } from "../../harness/agent/tools/index.ts";
import { commandOfCall } from "../../harness/control/approved-command.ts";
import { commandSpec } from "../../harness/control/contract.ts";
import type { OperatorKit } from "../../harness/protocol.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { ScriptedCluster } from "../support/scripted-cluster.ts";

const why = { component: "tikv1", reason: "the test wants it so" };
const WRITES: readonly (readonly [string, object, string, object])[] = [
  ["container_start", {}, "start", {}],
  ["container_stop", { grace_seconds: 5 }, "stop", { grace_ms: 5_000 }],
  ["container_restart", {}, "restart", {}],
  ["container_restart", { grace_seconds: 0 }, "restart", { grace_ms: 0 }],
  ["container_kill", { signal: "SIGTERM" }, "kill", { signal: "SIGTERM" }],
  ["container_pause", {}, "pause", {}],
  ["container_unpause", {}, "unpause", {}],
  ["container_update", { cpus: 2, memory_bytes: null }, "update", { cpus: 2, memory_bytes: null }],
  ["container_recreate", { image: "some/image:1" }, "recreate", { image: "some/image:1" }],
  ["container_exec", { argv: ["rm", "-rf", "/data"] }, "exec", { argv: ["rm", "-rf", "/data"], timeout_ms: 10_000 }],
  ["network_connect", { aliases: ["tikv1"] }, "connect", { aliases: ["tikv1"] }],
  ["network_disconnect", {}, "disconnect", {}],
];

describe("the command that a proposed call stands for", () => {
  const clock = new ManualClock();
  const { engine } = new ScriptedCluster(clock);
  const kit = { subject: "tikv", tools: [], causes: [], briefing: "", runbookDir: "" } satisfies OperatorKit;
  const tools = buildTools(
    { engine, kit, prometheus: null, clock, components: [], findings: { submitted: null } },
    "propose",
  );

  test.each(WRITES)("%s %j", (name, given, command, params) => {
    const tool = tools.find((known) => known.name === name)!;
    const input = tool.input.parse({ ...why, ...given });
    const found = commandOfCall(name, input)!;
    expect(found).toEqual({ name: command, params: { component: "tikv1", ...params } });
    const spec = commandSpec(found.name);
    expect(spec.effect(spec.params.parse(found.params))).toBe(tool.effect(input));
  });

  test("every container tool that can change something has one, no other has", () => {
    const changing = tools.filter(({ name }) => /^(container|network)_/.test(name)).map(({ name }) => name);
    const without = changing.filter((name) => commandOfCall(name, why) === null);
    expect(without.toSorted()).toEqual(["container_inspect", "container_list", "container_logs", "container_stats"]);
    for (const name of ["pd_request", "submit_diagnosis", "toString"]) expect(commandOfCall(name, why)).toBeNull();
  });
});
