import { execFile } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { INSTANCE_LABEL } from "../../harness/engine/labels.ts";
import { readRecord } from "../../harness/store/run-folder.ts";
import { describeDocker, standInImages } from "../support/docker.ts";
import { labHome, type LabHome } from "../support/lab-process.ts";
import { mcpOverStdio } from "../support/mcp-client.ts";
import { atTerminal } from "../support/pty.ts";
import { textOf } from "../support/repository.ts";

const docker = promisify(execFile);
const images = await standInImages();
const CLI = resolve(import.meta.dirname, "../../harness/cli/main.ts");
const trial = ["run", "tikv/store-kill", "--engine", "docker", "--seed", "7", "--compose-mode"];
// Images may have to be built, on a machine that does something else, too.
vi.setConfig({ testTimeout: 900_000 });

/** Containers and networks of the instances that this test has started. */
async function leftOf(ids: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    ids.flatMap((id) =>
      [
        ["ps", "-aq"],
        ["network", "ls", "-q"],
        ["volume", "ls", "-q"],
      ].map(async (list) => (await docker("docker", [...list, "--filter", `label=${INSTANCE_LABEL}=${id}`])).stdout),
    ),
  );
  return found.flatMap((text) => text.split("\n")).filter((line) => line !== "");
}

async function recordIn(home: LabHome) {
  const [folder = ""] = await readdir(home.runs);
  return { folder: join(home.runs, folder), record: await readRecord(join(home.runs, folder)) };
}

describeDocker("a trial in compose mode on containers", () => {
  test("its operator has no socket, a guarded network and the user's runbooks: blinding is full, the audit intact, nothing is left", async () => {
    await using home = await labHome(images);
    const books = join(home.folder, "books");
    await mkdir(books);
    const book = textOf("subjects/tikv/kit/runbooks/store-stopped.yaml");
    await writeFile(join(books, "ours.yaml"), book.replace("it was started again.", "we have our own words for it."));
    const run = home.run(...trial, "--runbooks", books);
    await run.sees("an operator works the ticket");
    const [id = ""] = await home.instances();
    const listed = await docker("docker", ["ps", "-q", "--filter", `label=${INSTANCE_LABEL}=${id}`]);
    const inspected = await docker("docker", ["inspect", ...listed.stdout.trim().split("\n")]);
    const containers = JSON.parse(inspected.stdout) as {
      readonly Config: { readonly Labels: Readonly<Record<string, string>> };
      readonly Mounts: readonly { readonly Destination: string }[];
    }[];
    const withSocket = containers.filter(({ Mounts }) =>
      Mounts.some((mount) => mount.Destination.endsWith("docker.sock")),
    );
    expect(withSocket.map(({ Config }) => Config.Labels["com.docker.compose.service"])).toEqual(["compose-agent"]);
    expect(await run.ended, run.stdout() + run.stderr()).toBe(0);

    const { folder, record } = await recordIn(home);
    expect(record.blinding.level).toBe("full");
    expect(record.session?.diagnosis?.explanation).toContain("we have our own words for it");
    expect(record.control).toMatchObject({ mode: "compose", audit: { intact: true } });
    expect(record.control?.commands["compose_agent"]).toBeGreaterThan(0);
    expect(await readdir(join(folder, "control"))).not.toContain("tokens");
    expect(await leftOf([id])).toEqual([]);
  });

  test("a person at this terminal works it, through the door of the agent's container", async () => {
    await using home = await labHome(images);
    const command = [process.execPath, CLI, ...trial, "--operator", "human"].map((word) => `'${word}'`).join(" ");
    await using person = atTerminal(command, home.env, home.folder);
    await person.sees("critical: tikv2");
    await person.types("list");
    await person.sees('"exited"');
    await person.types("start tikv2 -- it has ended and nobody started it");
    await person.sees("tikv2: started");
    await person.types("submit");
    await person.types("process-stopped", "cause: ");
    await person.types("tikv2", "components");
    await person.types("its process had ended and nobody started it again", "explanation: ");
    await person.types("container_list said exited", "evidence");
    await person.types("started it", "what was changed");
    await person.types("resolved", "resolved, no-fault");
    await person.sees("the work ends: resolved");
    expect(await person.ended, person.screen()).toBe(0);

    const { record } = await recordIn(home);
    expect(record.operator).toMatchObject({ name: "human", scripted: false });
    expect(record.session?.usage).toMatchObject({ turns: 3 });
    expect(record.control).toMatchObject({ mode: "compose", audit: { intact: true } });
    expect(record.grade).toMatchObject({ verdict: "pass", diagnosed: { right: true } });
    expect(await home.instances()).toEqual([]);
  });

  test("an MCP client on this machine works it, through the same door", async () => {
    await using home = await labHome(images);
    const run = home.run(...trial, "--operator", "external");
    await run.sees("an operator works the ticket");
    const { token } = await waitFor(
      async () => {
        const asked = home.run("mcp", "token", "--json");
        return (await asked.ended) === 0 ? (JSON.parse(asked.stdout()) as { readonly token: string }) : null;
      },
      { clock: systemClock, timeoutMs: 60_000, everyMs: 250, what: "an incident that waits for a client" },
    );
    const client = await mcpOverStdio(token, home.env);
    try {
      const call = async (name: string, input: object) =>
        JSON.stringify(await client.callTool({ name, arguments: { reason: "it is what the ticket names", ...input } }));
      expect(client.getInstructions()).toContain("tikv2");
      expect(await call("container_inspect", { component: "tikv2" })).toContain("exited");
      expect(await call("container_start", { component: "tikv2" })).toContain("started");
      const diagnosis = {
        cause: "process-stopped",
        components: ["tikv2"],
        explanation: "its process had ended and nobody started it again",
        evidence: ["container_inspect said exited"],
        done: "started it",
        ending: "resolved",
      };
      expect(await call("submit_diagnosis", diagnosis)).toContain("submitted");
    } finally {
      await client.close();
    }
    expect(await run.ended, run.stdout() + run.stderr()).toBe(0);

    const { record } = await recordIn(home);
    expect(record.operator).toMatchObject({ name: "external", scripted: false });
    expect(record.blinding.level).toBe("none");
    expect(record.session?.usage).toMatchObject({ turns: 3 });
    expect(record.control).toMatchObject({ mode: "compose", audit: { intact: true } });
    expect(record.grade).toMatchObject({ verdict: "pass", diagnosed: { right: true } });
    expect(await home.instances()).toEqual([]);
  });

  test("killed with SIGKILL: `lab heal` removes its containers and networks, too", async () => {
    await using home = await labHome(images);
    const run = home.run(...trial, "--operator", "noop");
    await run.sees("status panel: ");
    const ids = await home.instances();
    run.child.kill("SIGKILL");
    await run.ended;
    const heal = home.run("heal");
    expect(await heal.ended, heal.stderr()).toBe(0);
    expect(await leftOf(ids)).toEqual([]);
    expect(await home.instances()).toEqual([]);
  });
});
