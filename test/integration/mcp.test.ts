import { readFileSync } from "node:fs";
import { request } from "node:http";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { parse } from "smol-toml";
import { describe, expect, onTestFinished, test } from "vitest";
import { external } from "../../harness/agent/operators/external/index.ts";
import { workIncident, type WorkOptions } from "../../harness/agent/work.ts";
import type { TranscriptEntry } from "../../harness/agent/transcript.ts";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { serveHttp } from "../../harness/mcp/serve-http.ts";
import type { Effect, OperatorResult } from "../../harness/protocol.ts";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import { lab } from "../support/cli.ts";
import { leaksIn } from "../support/leak-words.ts";
import { claim, ticketFolder, violation } from "../support/ticket-folder.ts";
import { WorkBench } from "../support/work-bench.ts";

const deps = { clock: systemClock, ids: randomIds, log: silentLog };
const reason = "the ticket says that it does not answer";

interface Scene {
  readonly tickets: Tickets;
  readonly batchKey: string;
  readonly path: string;
  readonly url: string;
  readonly entries: readonly TranscriptEntry[];
  readonly ended: Promise<OperatorResult>;
  token(scopes?: readonly Effect[], ttlMs?: number): Promise<string>;
  client(token: string): Promise<Client>;
}

/** An incident of a scripted cluster that waits for a client, and the HTTP server in front of it. */
async function scene(change: Partial<WorkOptions> = {}, allowHosts: readonly string[] = []): Promise<Scene> {
  const scope = new AsyncDisposableStack();
  onTestFinished(() => scope.disposeAsync());
  const path = `${ticketFolder()}/tickets.db`;
  const tickets = scope.use(await openTickets(path, deps));
  await tickets.reportViolation(violation());
  const incident = await claim(tickets);
  await tickets.renew(incident, 3_600_000);
  const bench = new WorkBench();
  const stop = new AbortController();
  const operator = external({ access: tickets.access, runbookDirs: [], doorDir: null, ...deps });
  const options = bench.options(operator, { incident, ...change });
  const ended = workIncident(options, deps, stop.signal);
  ended.catch(() => {});
  const serving = await serveHttp(
    { host: "127.0.0.1", port: 0, allowHosts, version: "1", admit: (token) => tickets.access.check(token) },
    deps,
    stop.signal,
  );
  scope.use(serving);
  scope.defer(async () => {
    stop.abort(new Error("the test is over"));
    await ended.catch(() => {});
  });
  const opened = async () => (await tickets.access.doors()).length > 0;
  await waitFor(opened, { clock: systemClock, timeoutMs: 20_000, everyMs: 10, what: "the door" });
  const { batchKey } = incident;
  return {
    tickets,
    batchKey,
    path,
    url: serving.url,
    entries: bench.entries,
    ended,
    token: async (scopes = ["read", "write", "destructive"], ttlMs = 60_000) =>
      (await tickets.access.issue({ batchKey, scopes, ttlMs })).token,
    async client(token) {
      const client = new Client({ name: "test", version: "1" });
      onTestFinished(() => client.close());
      const headers = { authorization: `Bearer ${token}` };
      await client.connect(
        new StreamableHTTPClientTransport(new URL(serving.url), { requestInit: { headers } }) as never,
      );
      return client;
    },
  };
}

const call = (client: Client, name: string, args: object) => client.callTool({ name, arguments: { reason, ...args } });
const textOf = (result: unknown): string => (result as { content: { text: string }[] }).content[0]?.text ?? "";
const INITIALIZE = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "raw", version: "1" } },
});

async function post(url: string, headers: Record<string, string>, body = INITIALIZE): Promise<Response> {
  // fetch does not let anybody set Host.
  return await new Promise((resolve, reject) => {
    const accept = "application/json, text/event-stream";
    const asked = request(
      url,
      { method: "POST", headers: { "content-type": "application/json", accept, ...headers } },
      (got) => {
        got.resume();
        const challenge = got.headers["www-authenticate"];
        resolve(
          new Response(null, {
            status: got.statusCode ?? 0,
            ...(challenge === undefined ? {} : { headers: { "www-authenticate": challenge } }),
          }),
        );
        asked.destroy();
      },
    );
    asked.on("error", reject);
    asked.end(body);
  });
}

describe("over HTTP", () => {
  test("only names of ours are answered, and pages of no other origin, before a token counts", async () => {
    const { url, token } = await scene({}, ["lab.example"]);
    const { port } = new URL(url);
    const good = { authorization: `Bearer ${await token()}` };
    const status = async (headers: Record<string, string>) => (await post(url, headers)).status;
    expect(await status({ ...good, host: `evil.example:${port}` })).toBe(403);
    expect(await status({ ...good, origin: "https://evil.example" })).toBe(403);
    expect(await status({ ...good, origin: "null" })).toBe(403);
    for (const host of ["127.0.0.1", "localhost", "[::1]", "lab.example"]) {
      expect([host, await status({ ...good, host: `${host}:${port}` })]).toEqual([host, 200]);
      expect([host, await status({ ...good, origin: `http://${host}:${port}` })]).toEqual([host, 200]);
    }
  });

  test("without a good token there is nothing, and a session belongs to the token that began it", async () => {
    const { url, token, client } = await scene();
    const none = await post(url, {});
    expect([none.status, none.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    const bad = await post(url, { authorization: `Bearer inc_${"0".repeat(64)}` });
    expect([bad.status, bad.headers.get("www-authenticate")]).toEqual([401, 'Bearer error="invalid_token"']);
    const mine = await client(await token());
    const session = (mine.transport as StreamableHTTPClientTransport).sessionId ?? "";
    const list = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" });
    const other = { authorization: `Bearer ${await token()}`, "mcp-session-id": session };
    expect((await post(url, other, list)).status).toBe(404);
    expect((await post(url, { ...other, "mcp-session-id": "made-up" }, list)).status).toBe(404);
  });
});

describe("a token", () => {
  test("for reading shows no tool that can only write, and is refused calls that write; the transcript keeps it", async () => {
    const { token, client, entries } = await scene();
    const reader = await client(await token(["read"]));
    const names = (await reader.listTools()).tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["container_list", "container_exec", "submit_diagnosis"]));
    for (const name of ["container_start", "container_recreate", "network_connect"]) expect(names).not.toContain(name);
    for (const [name, args] of [
      ["container_start", { component: "tikv1" }],
      ["container_exec", { component: "tikv1", argv: ["rm", "-rf", "/data"] }],
    ] as const) {
      const refused = await call(reader, name, args);
      expect([refused.isError, textOf(refused)]).toEqual([true, expect.stringMatching(/^not allowed: this call is/)]);
    }
    expect(entries.filter(({ raw }) => raw.startsWith("refused at the door"))).toHaveLength(2);
    expect(entries.filter(({ type }) => type === "tool_call")).toEqual([]);
  });

  test.each([
    ["expired", (at: Scene) => at.token(["read"], 1)],
    [
      "revoked",
      async (at: Scene) => {
        const token = await at.token();
        expect(await at.tickets.access.revoke(at.batchKey)).toBe(1);
        return token;
      },
    ],
    [
      "of a claim that a person took away",
      async (at: Scene) => {
        const token = await at.token();
        await at.tickets.hold(1);
        return token;
      },
    ],
  ])("%s is worth nothing", async (_, make) => {
    const at = await scene();
    const token = await make(at);
    const useless = async () => (await at.tickets.access.check(token)) === null;
    await waitFor(useless, { clock: systemClock, timeoutMs: 10_000, everyMs: 5, what: "the token to end" });
    await expect(at.client(token)).rejects.toThrow();
  });

  test("is kept as its digest alone, and opens one incident", async () => {
    const { tickets, token, path } = await scene();
    const made = await token();
    for (const file of [path, `${path}-wal`]) expect(readFileSync(file).includes(made)).toBe(false);
    await expect(tickets.access.issue({ batchKey: "another", scopes: ["read"], ttlMs: 1 })).rejects.toMatchObject({
      code: "not-found",
    });
  });
});

describe("a client", () => {
  test("finds every tool but shell, with its effects; nothing that it is told gives away where it is", async () => {
    const shell = { run: () => Promise.reject(new Error("never")) };
    const { token, client } = await scene({ shell });
    const mine = await client(await token());
    const { tools } = await mine.listTools();
    const hints = (name: string) => tools.find((tool) => tool.name === name)?.annotations;
    expect(tools.map(({ name }) => name)).not.toContain("shell");
    expect(textOf(await call(mine, "shell", { command: "id" }))).toBe("there is no tool shell");
    expect(hints("container_logs")).toMatchObject({ readOnlyHint: true, destructiveHint: false });
    expect(hints("container_start")).toMatchObject({
      readOnlyHint: false,
      destructiveHint: false,
      idempotentHint: true,
    });
    expect(hints("container_restart")).toMatchObject({
      readOnlyHint: false,
      destructiveHint: false,
      idempotentHint: false,
    });
    expect(hints("container_recreate")).toMatchObject({ readOnlyHint: false, destructiveHint: true });
    expect(hints("pd_request")).toMatchObject({ readOnlyHint: false, destructiveHint: true });
    const told = [JSON.stringify(tools), mine.getInstructions() ?? "", JSON.stringify(mine.getServerVersion())];
    const { resources } = await mine.listResources();
    for (const { uri } of resources) told.push(JSON.stringify(await mine.readResource({ uri })));
    expect(leaksIn(told.map((text, index) => ({ where: `answer ${index}`, text })))).toEqual([]);
  });

  test("has as many calls as every operator has turns", async () => {
    const limits = { turns: 2, workingMs: 600_000, usd: 1, outputTokensPerTurn: 1 };
    const { token, client, ended } = await scene({ limits });
    const mine = await client(await token());
    expect((await call(mine, "container_list", {})).isError).toBe(false);
    expect((await call(mine, "container_list", {})).isError).toBe(false);
    expect(textOf(await call(mine, "container_list", {}))).toBe("turn limit reached: 2 of 2 calls");
    expect(await ended).toMatchObject({ ending: "limit", usage: { turns: 2 } });
    expect(textOf(await call(mine, "container_list", {}))).toMatch(/^the work on this incident has ended/);
  });

  test("that asks for too much, or for nothing that there is, is told so; the work goes on", async () => {
    const { token, client } = await scene();
    const asking = await client(await token());
    const tooMuch = await call(asking, "container_list", { more: "x".repeat(2_000_000) });
    expect(tooMuch).toMatchObject({ isError: true, content: [{ text: "the call is larger than 1048576 bytes" }] });
    expect(textOf(await call(asking, "n".repeat(200), {}))).toContain("Too big: expected string to have <=100");
    expect(textOf(await call(asking, "__proto__", {}))).toContain("there is no tool __proto__");
    expect(await call(asking, "container_list", {})).toMatchObject({ isError: false });
  });

  test("may hang up: what it asked for is carried out all the same", async () => {
    const { token, client, entries } = await scene();
    const mine = await client(await token());
    const stop = new AbortController();
    const slow = mine.callTool({ name: "wait", arguments: { seconds: 1, reason } }, undefined, { signal: stop.signal });
    slow.catch(() => {});
    const begun = () => entries.some(({ tool }) => tool === "wait");
    await waitFor(async () => begun(), { clock: systemClock, timeoutMs: 10_000, everyMs: 5, what: "the call" });
    stop.abort();
    await expect(slow).rejects.toThrow();
    const done = () =>
      entries.some(({ type, tool, exitCode }) => type === "tool_result" && tool === "wait" && exitCode === 0);
    await waitFor(async () => done(), { clock: systemClock, timeoutMs: 20_000, everyMs: 20, what: "its end" });
  });
});

describe("lab mcp", () => {
  test("config prints what Claude Code and Codex read, without a token in it", async () => {
    const out = async (...args: string[]) => (await lab(["mcp", "config", ...args])).out;
    const claude = JSON.parse(await out("claude-code", "--port", "9000")) as unknown;
    expect(claude).toEqual({
      mcpServers: {
        incident: {
          type: "http",
          url: "http://127.0.0.1:9000/mcp",
          headers: { Authorization: "Bearer ${INCIDENT_MCP_TOKEN}" },
        },
      },
    });
    expect(JSON.parse(await out("claude-code", "--transport", "stdio"))).toMatchObject({
      mcpServers: {
        incident: { type: "stdio", command: "node", env: { INCIDENT_MCP_TOKEN: "${INCIDENT_MCP_TOKEN}" } },
      },
    });
    expect(parse(await out("codex"))).toMatchObject({
      mcp_servers: { incident: { url: "http://127.0.0.1:8711/mcp", bearer_token_env_var: "INCIDENT_MCP_TOKEN" } },
    });
    expect(parse(await out("codex", "--transport", "stdio"))).toMatchObject({
      mcp_servers: {
        incident: { args: expect.arrayContaining(["mcp", "serve", "--stdio"]), env_vars: ["INCIDENT_MCP_TOKEN"] },
      },
    });
  });

  test("token: one for the incident that waits, a sentence where none does; serve --stdio without one says how to have it", async () => {
    const at = await scene();
    const made = await lab(["mcp", "token", "--db", at.path, "--scope", "read", "--minutes", "5", "--json"]);
    expect(JSON.parse(made.out)).toMatchObject({ scopes: ["read"], claim: { batchKey: at.batchKey } });
    const empty = await lab(["mcp", "token", "--db", `${ticketFolder()}/tickets.db`]);
    expect([empty.code, empty.err]).toEqual([4, expect.stringContaining("lab agent start --operator external")]);
    const none = await lab(["mcp", "serve", "--stdio", "--db", at.path]);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining("lab mcp token")]);
    const wrong = await lab(["mcp", "serve", "--stdio", "--db", at.path], { env: { INCIDENT_MCP_TOKEN: "inc_wrong" } });
    expect([wrong.code, wrong.err]).toEqual([4, expect.stringContaining("not good for any incident")]);
  });
});
