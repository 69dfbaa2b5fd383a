import { spawn, type ChildProcess } from "node:child_process";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { readInstance, writeInstance } from "../../harness/engine/instances.ts";
import { runMonitor } from "../../harness/monitor/index.ts";
import type { Component } from "../../harness/protocol.ts";
import { openTickets, type Session, type Tickets } from "../../tickets/index.ts";
import { startEmbedded, type TestCluster } from "../support/embedded-cluster.ts";
import { lab } from "../support/cli.ts";
import { mcpOverStdio } from "../support/mcp-client.ts";
import { atTerminal } from "../support/pty.ts";

const CLI = resolve(import.meta.dirname, "../../harness/cli/main.ts");
const START_MS = 180_000;
const store = "tikv1" as Component;
const DIAGNOSIS = {
  cause: "process-stopped",
  components: [store],
  explanation: "The store's process had ended and nobody started it again.",
  evidence: ["container_list said exited", "it runs and answers now"],
  done: `started ${store}`,
  ending: "resolved",
  reason: "started, and seen to answer again",
};

let cluster: TestCluster;
let tickets: Tickets;
let env: Record<string, string>;
const closing = new AsyncDisposableStack();

/** One cluster, watched by a monitor, as `lab subject up` and `lab monitor run` leave it. */
beforeAll(async () => {
  cluster = closing.use(await startEmbedded({ timeFactor: 0.2 }, new AbortController().signal));
  const { stateDir, folder, instance, deps } = cluster;
  const record = readInstance(stateDir);
  if (record === null) throw new Error("the instance has no record");
  writeInstance(stateDir, { ...record, detached: true });
  env = { ...(process.env as Record<string, string>), HOME: folder, AGENT_LAB_HOME: folder, NO_COLOR: "1" };
  delete env["OPERATOR_SAFETY_MODE"];
  tickets = closing.use(await openTickets(join(folder, ".operator", "tickets.db"), deps));
  const stop = new AbortController();
  const watching = runMonitor({ instance, tickets, deps, intervalMs: 250, onEvent: () => {} }, stop.signal);
  closing.defer(async () => {
    stop.abort();
    await watching;
  });
}, START_MS);
afterAll(() => closing.disposeAsync(), START_MS);

const until = (what: string, check: () => Promise<boolean> | boolean) =>
  waitFor(async () => await check(), { clock: cluster.deps.clock, timeoutMs: 90_000, everyMs: 100, what });

const breakStore = () => cluster.instance.engine.kill(store, {}, new AbortController().signal);

/** The monitor has seen it hold again: tickets of earlier tests are resolved as well. */
const allResolved = () =>
  until("the tickets to be resolved", async () => {
    const all = await tickets.list();
    return all.length > 0 && all.every(({ status }) => status === "resolved");
  });

async function lastSession(): Promise<Session> {
  const [session] = await tickets.listSessions({ limit: 1 });
  if (session === undefined) throw new Error("no session");
  return session;
}

/** `lab …` as a process of its own, ended with the test. */
function start(args: readonly string[], change: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...env, ...change },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(async () => {
    const ended = new Promise((done) => child.once("close", done));
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await ended;
  });
  return child;
}

/** Resolves with the first line of the stream that contains it. */
async function line(stream: NodeJS.ReadableStream | null, part: string): Promise<string> {
  if (stream === null) throw new Error("no stream");
  const all: string[] = [];
  for await (const text of createInterface({ input: stream })) {
    all.push(text);
    if (!text.includes(part)) continue;
    // A pipe that nobody reads any more would stop whoever writes into it.
    stream.resume();
    return text;
  }
  throw new Error(`ended without "${part}": ${all.join("\n")}`);
}

const exited = (child: ChildProcess): Promise<number | null> =>
  new Promise((done) => {
    if (child.exitCode !== null) done(child.exitCode);
    else child.once("close", (code) => done(code));
  });

async function connected(over: "stdio" | "http", token: string): Promise<Client> {
  const client = over === "stdio" ? await mcpOverStdio(token, env) : await overHttp(token);
  onTestFinished(() => client.close());
  return client;
}

async function overHttp(token: string): Promise<Client> {
  const server = start(["mcp", "serve", "--port", "0", "--json"]);
  const { url } = JSON.parse(await line(server.stdout, "url")) as { url: string };
  const headers = { authorization: `Bearer ${token}` };
  const client = new Client({ name: "some http client", version: "3.2.1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }) as never);
  return client;
}

const textOf = (result: unknown): string => (result as { content: { text: string }[] }).content[0]?.text ?? "";

describe("an MCP client in another process", () => {
  test.each(["stdio", "http"] as const)("works an incident from end to end over %s", async (over) => {
    const agent = start(["agent", "start", "--operator", "external", "--once"]);
    const opened = line(agent.stderr, "door.opened");
    await breakStore();
    await opened;
    const { code, out } = await lab(["mcp", "token", "--json"], { env });
    expect(code).toBe(0);
    const { token } = JSON.parse(out) as { token: string };
    const client = await connected(over, token);
    expect(client.getInstructions()).toContain(store);

    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(["container_list", "pd_request", "wait"]));
    expect(tools.map(({ name }) => name)).not.toContain("shell");
    expect(tools.find(({ name }) => name === "container_list")?.annotations).toMatchObject({ readOnlyHint: true });
    const { resources } = await client.listResources();
    const read = async (uri: string) => (await client.readResource({ uri })).contents[0] as { text: string };
    expect((await read("incident:///incident")).text).toContain(store);
    expect((await read("incident:///briefing")).text).toContain("pd0");
    const books = resources.filter(({ uri }) => uri.startsWith("incident:///runbooks/"));
    expect(books.length).toBeGreaterThan(3);
    expect((await read(books[0]!.uri)).text).toContain("runbook:");

    const call = (name: string, args: object) => client.callTool({ name, arguments: { ...args } });
    const reason = "the ticket says that it does not answer";
    expect(textOf(await call("container_list", { reason }))).toContain('"exited"');
    expect(await call("container_start", { component: store })).toMatchObject({ isError: true });
    expect(textOf(await call("container_start", { component: store, reason }))).toContain("started");
    expect(textOf(await call("submit_diagnosis", DIAGNOSIS))).toContain("submitted");
    expect(await exited(agent)).toBe(0);
    expect(await call("container_list", { reason })).toMatchObject({ isError: true });

    const session = await lastSession();
    expect(session).toMatchObject({ operator: "external", scripted: false, ending: "resolved", usage: { turns: 4 } });
    expect(session.diagnosis).toMatchObject({ cause: "process-stopped", components: [store] });
    const entries = await tickets.logEntries(session.sessionId);
    expect(entries.map(({ summary }) => summary)).toContainEqual(expect.stringContaining(`some ${over} client 3.2.1`));
    expect(entries.filter(({ type, effect }) => type === "tool_call" && effect === "write")).toHaveLength(1);
    await allResolved();
  });
});

describe("a person at a terminal", () => {
  test("works an incident from end to end, with `lab agent start --operator human`", async () => {
    const command = `'${process.execPath}' '${CLI}' agent start --operator human --once`;
    await using person = atTerminal(command, env, cluster.folder);
    await person.sees("waiting for an incident");
    await breakStore();
    await person.sees(`critical: ${store}`);
    await person.types("list");
    await person.sees('"exited"');
    await person.types(`start ${store} -- it has ended and nobody started it`);
    await person.sees(`${store}: started`);
    await person.types("submit");
    await person.types(DIAGNOSIS.cause, "cause: ");
    await person.types(store, "components");
    await person.types(DIAGNOSIS.explanation, "explanation: ");
    await person.types(DIAGNOSIS.evidence.join("; "), "evidence");
    await person.types(DIAGNOSIS.done, "what was changed");
    await person.types("resolved", "resolved, no-fault");
    await person.sees("the work ends: resolved");
    expect(await person.ended).toBe(0);
    const session = await lastSession();
    expect(session).toMatchObject({ operator: "human", scripted: false, ending: "resolved", usage: { turns: 3 } });
    const write = (await tickets.logEntries(session.sessionId)).find(({ effect }) => effect === "write");
    expect(write).toMatchObject({ tool: "container_start", params: { component: store } });
    await allResolved();
  });

  test("Ctrl-C hands the incident back, and the attempt does not count", async () => {
    const command = `'${process.execPath}' '${CLI}' agent start --operator human --once`;
    await using person = atTerminal(command, env, cluster.folder);
    await person.sees("waiting for an incident");
    const made = await lab(
      ["ticket", "create", "--manual", "--invariant", "odd", "--message", "it smells odd", "--json"],
      { env },
    );
    const { id } = JSON.parse(made.out) as { id: number };
    await person.sees("it smells odd");
    await person.sees("> ");
    // A key in the very moment in which the prompt appears is lost now and then (docs/gaps.md): whoever sees nothing
    // happen presses again.
    const ended = person.ended.then(() => true);
    do person.interrupts();
    while (!(await Promise.race([ended, systemClock.sleep(2_000).then(() => false)])));
    expect(await person.ended).toBe(0);
    expect((await lastSession()).ending).toBe("released");
    expect(await tickets.get(id)).toMatchObject({ status: "open", holder: null });
    await tickets.resolve(id);
  });

  test("without a terminal there is one clear sentence", async () => {
    const child = start(["agent", "start", "--operator", "human"]);
    const said = await line(child.stderr, "terminal");
    expect(said).toBe("error: --operator human needs a terminal: input or output is not one");
    expect(await exited(child)).toBe(2);
  });
});
