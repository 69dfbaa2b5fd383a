import { describe, expect, it } from "vitest";
import { lab } from "../support/cli.ts";

describe("lab run --attach", () => {
  const attach = ["run", "tikv/store-kill", "--attach", "prod"];

  it("breaks somebody's cluster only when its name is given", async () => {
    expect(await lab(attach, { answer: "y" })).toMatchObject({
      code: 2,
      err: 'error: not confirmed: "y" is not "prod"; nothing was touched\n',
    });
  });

  it("asks for --yes where nobody can answer", async () => {
    expect(await lab(attach)).toMatchObject({
      code: 2,
      err: "error: nobody is here to confirm --attach prod; add --yes\n",
    });
  });
});

describe("lab run refuses what makes no sense, before anything is started", () => {
  it.each([
    [["--operator", "claude"], 5, "ANTHROPIC_API_KEY"],
    [["--model", "m"], 2, "--model and --max-usd go with --operator claude"],
    [["--runbooks", "x", "--operator", "noop"], 2, "--runbooks goes with --operator runbook"],
    [["--time-factor", "99"], 2, "a number from 0.05 to 10"],
    [["--seed", "-1"], 2, "--seed"],
  ])("%j", async (flags, code, text) => {
    const outcome = await lab(["run", "tikv/store-kill", "--engine", "process", ...flags]);
    expect(outcome.code).toBe(code);
    expect(outcome.err).toContain(text);
  });

  it("a model does not work in scaled time", async () => {
    const env = { ANTHROPIC_API_KEY: "k" };
    const outcome = await lab(["demo", "--operator", "claude", "--time-factor", "0.2"], { env });
    expect(outcome).toMatchObject({ code: 2 });
    expect(outcome.err).toContain("people and models work in real time");
  });

  it("a mode that does not exist", async () => {
    const outcome = await lab(["demo"], { env: { OPERATOR_SAFETY_MODE: "yolo" } });
    expect(outcome).toMatchObject({ code: 2 });
    expect(outcome.err).toContain('OPERATOR_SAFETY_MODE is "yolo"; it can be observe, propose or execute');
  });
});
