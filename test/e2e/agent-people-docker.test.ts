import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { $ } from "zx";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { attachedId } from "../../harness/cli/attached-id.ts";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import { AGENT_IMAGES_MS, agentUser, type AgentUser } from "../support/agent-user.ts";
import { describeDocker } from "../support/docker.ts";
import { FORBIDDEN } from "../support/leak-words.ts";
import { mcpOverStdio } from "../support/mcp-client.ts";
import { atTerminal } from "../support/pty.ts";
import { textOf } from "../support/repository.ts";

const CLI = resolve(import.meta.dirname, "../../harness/cli/main.ts");
const reason = "to see what there is";
const DIAGNOSIS = {
  cause: "other",
  components: [],
  explanation: "nothing was found that could be done about it",
  evidence: ["everything runs"],
  done: "nothing",
  ending: "escalated",
  reason: "somebody else has to look",
};

describeDocker("people and clients, while the operator's program is in its container", () => {
  const closing = new AsyncDisposableStack();
  let at: AgentUser;
  let tickets: Tickets;
  /** For programs that are not started by `at.home`. */
  let env: Readonly<Record<string, string>>;

  beforeAll(async () => {
    at = closing.use(await agentUser(["pd0"]));
    ({ env } = at.home);
    const deps = { clock: systemClock, ids: randomIds, log: silentLog };
    tickets = closing.use(await openTickets(join(at.user, ".operator", "tickets.db"), deps));
  }, AGENT_IMAGES_MS);
  afterAll(() => closing.disposeAsync(), 120_000);

  async function up(...flags: string[]): Promise<void> {
    const run = at.home.run("agent", "up", "--compose-mode", "--network", at.network, ...flags);
    expect(await run.ended, run.stdout() + run.stderr()).toBe(0);
  }

  const report = (invariant: string, message: string) =>
    tickets.create({
      instance: attachedId(at.project),
      invariant,
      component: null,
      severity: "warning",
      message,
      manual: true,
    });

  async function agentContainer(): Promise<{ readonly id: string; readonly env: readonly string[] }> {
    const filters = ["label=com.docker.compose.project=operator-agent", "label=com.docker.compose.service=agent"];
    const listed = await $({ quiet: true })`docker ps -aq --no-trunc ${filters.flatMap((one) => ["--filter", one])}`;
    const id = listed.stdout.trim();
    const { stdout } = await $({ quiet: true })`docker inspect ${id} --format ${"{{json .Config.Env}}"}`;
    return { id, env: JSON.parse(stdout) as string[] };
  }

  async function ended(operator: string) {
    return await waitFor(
      async () => {
        const [session] = await tickets.listSessions({ limit: 1 });
        return session?.operator === operator && session.ending !== null ? session : null;
      },
      { clock: systemClock, timeoutMs: 60_000, everyMs: 100, what: `the session of ${operator} to end` },
    );
  }

  test("an MCP client on this machine works an incident through the door, with the user's runbooks beside the kit's", async () => {
    const books = join(at.user, "my-lab-books");
    await mkdir(books);
    await writeFile(join(books, "of-ours.yaml"), textOf("subjects/tikv/kit/runbooks/store-stopped.yaml"));
    await up("--operator", "external", "--runbooks", books);
    await report("smell", "it smells odd");
    await waitFor(async () => (await tickets.access.doors()).length > 0, {
      clock: systemClock,
      timeoutMs: 60_000,
      everyMs: 100,
      what: "the door",
    });
    const issued = at.home.run("mcp", "token", "--json");
    expect(await issued.ended, issued.stderr()).toBe(0);
    const { token } = JSON.parse(issued.stdout()) as { token: string };
    const client = await mcpOverStdio(token, env);
    try {
      expect(client.getInstructions()).toContain("it smells odd");
      const { resources } = await client.listResources();
      expect(resources.map(({ uri }) => uri)).toContain("incident:///runbooks/of-ours");
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name)).not.toContain("shell");
      const call = async (name: string, input: object) =>
        JSON.stringify(await client.callTool({ name, arguments: { ...input } }));
      expect(await call("container_list", { reason })).toContain("pd0");
      expect(await call("container_kill", { component: "compose-agent", reason })).toMatch(/there is no/);
      expect(await call("submit_diagnosis", DIAGNOSIS)).toContain("submitted");
    } finally {
      await client.close();
    }
    expect(await ended("external")).toMatchObject({ ending: "escalated", usage: { turns: 3 } });

    // The program may read the runbooks and not write them, its shell neither; where they come from is not to be seen.
    const { id } = await agentContainer();
    const as = async (uid: number, line: string) =>
      await $({ quiet: true, nothrow: true })`docker exec -u ${uid} ${id} sh -c ${line}`;
    const uid = process.getuid?.() ?? 1000;
    const book = "/run/operator/runbooks/0/of-ours.yaml";
    expect((await as(uid, `head -c 1 ${book} && ! touch ${book}`)).exitCode).toBe(0);
    for (const path of [book, "/run/operator/tickets/doors"])
      expect((await as(64001, `ls ${path}`)).stderr, path).toContain("Permission denied");
    const mounts = (await as(uid, "grep /run/operator/runbooks /proc/self/mountinfo")).stdout;
    expect(mounts).not.toBe("");
    expect(mounts).not.toMatch(FORBIDDEN);
  }, 240_000);

  test("a person attaches to it, leaves with Ctrl-C, comes back to the same question, and ends the work", async () => {
    await up("--operator", "human", "--safety-mode", "propose");
    await report("noise", "it rattles");
    const attach = () => atTerminal(`'${process.execPath}' '${CLI}' agent attach`, env, at.user);
    {
      await using person = attach();
      await person.sees("it rattles");
      await person.types("list");
      await person.sees('"pd0"');
      await person.sees("> ");
      // A key in the very moment in which the prompt appears is lost now and then.
      const left = person.ended.then(() => true);
      do person.interrupts();
      while (!(await Promise.race([left, systemClock.sleep(2_000).then(() => false)])));
      expect(person.screen()).toContain("what you worked on waits for you");
    }
    await using person = attach();
    await person.sees("it rattles");
    await person.sees("> list");
    await person.types("submit");
    await person.types(DIAGNOSIS.cause, "cause: ");
    await person.types("-", "components");
    await person.types(DIAGNOSIS.explanation, "explanation: ");
    await person.types(DIAGNOSIS.evidence.join("; "), "evidence");
    await person.types("nothing", "what was changed");
    await person.types("escalated", "resolved, no-fault");
    await person.sees("the work ends: escalated");
    expect(await ended("human")).toMatchObject({ ending: "escalated", usage: { turns: 2 } });
  }, 240_000);

  test("a watchdog that was told nothing makes the person's agent anew as it was", async () => {
    const before = await agentContainer();
    await $({ quiet: true })`docker rm -f ${before.id}`;
    const quick = {
      WATCHDOG_INTERVAL_MS: "500",
      WATCHDOG_BACKOFF_BASE_MS: "100",
      OPERATOR: "",
      OPERATOR_SAFETY_MODE: "",
    };
    const args = [CLI, "watchdog", "--targets", "agent", "--network", at.network];
    const watchdog = spawn(process.execPath, args, { env: { ...env, ...quick }, stdio: "ignore" });
    const over = new Promise((done) => watchdog.once("close", done));
    try {
      const made = await waitFor(() => agentContainer().catch(() => null), {
        clock: systemClock,
        timeoutMs: 90_000,
        everyMs: 250,
        what: "the agent's container to be there again",
      });
      const variables = (container: { readonly env: readonly string[] }) =>
        container.env.filter((line) => /^(OPERATOR|RUNBOOK|INSTANCE|PD_|PROMETHEUS)/.test(line)).toSorted();
      expect(variables(made)).toEqual(variables(before));
      expect(variables(made)).toEqual(expect.arrayContaining(["OPERATOR=human", "OPERATOR_SAFETY_MODE=propose"]));
    } finally {
      watchdog.kill("SIGTERM");
      await over;
    }
  }, 240_000);
});
