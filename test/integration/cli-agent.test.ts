import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EXIT } from "../../harness/cli/exit-codes.ts";
import { lab } from "../support/cli.ts";
import { ticketFolder as folderOfThisTest } from "../support/ticket-folder.ts";

test("agent start, monitor run: without a cluster they say how to have one", async () => {
  const env = { AGENT_LAB_HOME: folderOfThisTest() };
  for (const command of [
    ["agent", "start"],
    ["monitor", "run"],
  ])
    expect(await lab(command, { env })).toMatchObject({
      code: EXIT.notFound,
      err: expect.stringContaining("lab subject up tikv"),
    });
});

test("agent up: the warning about the socket comes first; a folder that cannot be made is one sentence", async () => {
  const file = join(folderOfThisTest(), "file");
  writeFileSync(file, "");
  const { code, err } = await lab(["agent", "up"], { env: { HOME: file } });
  const [warning, ...rest] = err.trimEnd().split("\n");
  expect(warning).toMatch(/^warning: the agent holds the Docker socket itself/);
  expect(rest).toEqual([expect.stringMatching(/^error: cannot make .*\.operator/)]);
  expect(code).not.toBe(0);
});

test("doctor: what is missing, by exit code too", async () => {
  const env = { AGENT_LAB_HOME: folderOfThisTest() };
  const doctor = await lab(["doctor", "--json", "--operator", "claude"], { env });
  expect(doctor.code).toBe(EXIT.notPassed);
  const findings = JSON.parse(doctor.out) as readonly { readonly what: string; readonly state: string }[];
  expect(findings).toEqual(
    expect.arrayContaining([
      { what: "node", state: "ok", text: process.version },
      { what: "state folder", state: "ok", text: env.AGENT_LAB_HOME },
      { what: "claude", state: "problem", text: "ANTHROPIC_API_KEY is not set" },
    ]),
  );
});
