import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { lab } from "../support/cli.ts";
import { DEPLOYMENT, startControl } from "../support/control-server.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";

test("lab control: one signed request by hand, what came of it, and an exit code that says so", async () => {
  const engine = new ScriptedEngine(systemClock, [
    { component: "tikv1", prints: [{ stream: "stdout", text: "ready" }] },
  ]);
  const control = await startControl({ engine });
  onTestFinished(() => control[Symbol.asyncDispose]());
  const env = {
    TOKEN_DIR: join(control.folder, "tokens"),
    DEPLOYMENT_HASH: DEPLOYMENT,
    CONTROL_URL: control.server.url ?? "",
    HOME: control.folder,
  };
  const run = (...args: string[]) => lab(["control", ...args], { env });
  const logs = await run("call", "logs", "tikv1", "--params", '{"tail":5}');
  expect(logs).toEqual({ code: 0, out: "ready\n", err: "" });
  expect(await run("call", "restart", "tikv1", "--reason", "it hangs")).toMatchObject({ code: 0, out: "success\n" });
  expect(await run("call", "restart", "nope")).toMatchObject({
    code: 8,
    err: expect.stringContaining("failed: ") as string,
  });
  expect((await run("call", "reboot")).err).toContain('no command "reboot"');
  // What is missing is said here, with the form that would do; nothing is asked for.
  const usage = async (...args: string[]) => {
    const { code, err } = await run("call", ...args);
    expect(code).toBe(2);
    return err;
  };
  expect(await usage("restart")).toMatch(/^error: restart component: .*usage: lab control call restart <component>/);
  expect(await usage("update", "tikv1")).toContain("update: names nothing to change");
  expect(await usage("restart", "tikv1", "--incident", "x")).toContain("--holder and --attempt go together");
  // People cannot destroy; the agent's plane has another token.
  expect(await run("call", "recreate", "tikv1")).toMatchObject({
    code: 5,
    err: expect.stringContaining("may not") as string,
  });
  expect(await run("call", "recreate", "tikv1", "--plane", "compose_agent")).toMatchObject({ code: 0 });
  expect(engine.acts).toEqual(
    ["restart tikv1", "restart nope", "recreate tikv1"].filter((act) => !act.endsWith("nope")),
  );
  const id = (await run("call", "stats", "tikv1", "--enqueue")).out.trim();
  expect((await run("command", id, "--json")).out).toContain(`"command_id": "${id}"`);
  expect(JSON.parse((await run("health")).out)).toMatchObject({ status: "ok" });
  expect(JSON.parse((await run("capabilities")).out)).toMatchObject({ compose_agent: true });
  expect((await run("metrics")).out).toContain("control_commands_total");
  expect(JSON.parse((await run("get", "/api/v1/events")).out)).toMatchObject({ events: [] });
  const gone = await lab(["control", "health"], { env: { ...env, CONTROL_URL: "http://127.0.0.1:9" } });
  expect(gone).toMatchObject({ code: 5, err: expect.stringContaining("does not answer") as string });
});
