import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { controlClient } from "../../harness/control/client/index.ts";
import { PLANES, type Plane } from "../../harness/control/planes.ts";
import { newToken, openTokenCache, rotateToken, vaultTokens } from "../../harness/control/tokens/index.ts";
import { engineSocket } from "../../harness/engine/process/paths.ts";
import { startSupervisor } from "../../harness/engine/process/start-supervisor.ts";
import { suiteNode } from "../support/suite-nodes.ts";
import { errors } from "../support/vault/vault-answer.ts";
import { VaultServer } from "../support/vault/vault-server.ts";

const signal = new AbortController().signal;
const deps = { clock: systemClock, ids: randomIds, fetch: globalThis.fetch, log: silentLog, random: seededRandom(1) };

test("the compose-agent's program tells no secret: not in its log, arguments, replies, metrics or files", async () => {
  await using scope = new AsyncDisposableStack();
  const folder = mkdtempSync(path.join(os.tmpdir(), "secrets-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const vault = scope.use(await VaultServer.start());
  const settings = {
    address: vault.url,
    token: vault.root,
    namespace: null,
    pathPrefix: "secret/agent",
    deploymentHash: "d3adb33f",
    kvVersion: null,
  };
  const provider = vaultTokens(settings, deps);
  const secrets = [vault.root];
  const rotate = async (plane: Plane) =>
    void secrets.push((await rotateToken(provider, plane, {}, deps, signal)).current.token);
  for (const plane of PLANES) await rotate(plane);

  const nodes = [suiteNode(folder, "steady", "steady")];
  const project = { instance: "aabbccdd", project: "suite", network: "suite_default" };
  const { engine } = await startSupervisor({ ...project, stateDir: folder, nodes }, signal);
  scope.defer(async () => {
    await engine.tearDown();
    await engine[Symbol.asyncDispose]();
  });
  const program = await startProgram(folder, { VAULT_ADDRESS: vault.url, VAULT_TOKEN: vault.root });
  scope.defer(() => program.stop());
  if (process.platform === "linux") expect(program.commandLine).toContain("control/main");

  const cache = scope.use(await openTokenCache({ provider, planes: PLANES }, deps, signal));
  const client = (plane: Plane, token = () => cache.current(plane)) =>
    scope.use(
      controlClient({ url: program.url, plane, agentId: "a", deploymentHash: "d3adb33f", token, patienceMs: 0 }, deps),
    );
  const heard: string[] = [];
  const hear = async (answer: Promise<unknown>): Promise<void> =>
    void heard.push(JSON.stringify(await answer.catch((error: Error) => error.message)) ?? "");
  await hear(client("status_panel").execute("list", {}, {}, signal));
  // Over the API, elsewhere, by a stranger, with an empty token in Vault, and while Vault is sealed.
  await hear(client("compose_agent").post("/api/v1/auth/rotate-token", {}, signal));
  await cache.refresh("compose_agent", signal);
  secrets.push(cache.current("compose_agent")?.token ?? "none");
  await rotate("status_panel");
  await cache.refresh("status_panel", signal);
  await hear(client("status_panel").execute("inspect", { component: "steady" }, {}, signal));
  const stranger = () => {
    secrets.push(newToken(randomIds));
    return { token: secrets.at(-1) ?? "", scopes: [], issuedAt: systemClock.now() };
  };
  await hear(client("compose_agent", stranger).execute("list", {}, {}, signal));
  vault.failWith = errors(403, `1 error occurred:\n\t* permission denied\n\n`);
  await hear(client("compose_agent", stranger).execute("stats", { component: "steady" }, {}, signal));
  vault.failWith = null;
  vault.seal();
  await hear(client("compose_agent").post("/api/v1/auth/rotate-token", {}, signal));
  for (const target of ["/health", "/capabilities", "/metrics", "/openapi.json"])
    heard.push(await (await fetch(program.url + target)).text());
  // While it runs: some of them go with it.
  const files = filesBelow(path.join(folder, "control")).map((file) => ({ file, text: readFileSync(file, "latin1") }));
  await program.stop();

  expect(new Set(secrets).size).toBeGreaterThanOrEqual(7);
  expect(program.lines.join("\n")).toMatch(/tokens\.rotated[^]*tokens\.refresh-failed/);
  expect(heard.join("\n")).toMatch(/"rotated":true/);
  const told = {
    log: program.lines.join("\n"),
    arguments: program.commandLine,
    replies: heard.join("\n"),
    files: files.map(({ text }) => text).join("\n"),
  };
  expect(files.some(({ file }) => file.includes("audit"))).toBe(true);
  for (const [where, text] of Object.entries(told))
    for (const secret of secrets) expect(text.includes(secret), `a secret in ${where}`).toBe(false);
});

async function startProgram(folder: string, env: Record<string, string>) {
  const main = path.resolve(import.meta.dirname, "../../harness/control/main.ts");
  const child = spawn(process.execPath, [main, "--compose-mode"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: folder,
      ENGINE: `unix:${engineSocket(folder)}`,
      INSTANCE_ID: "aabbccdd",
      DEPLOYMENT_HASH: "d3adb33f",
      DASHBOARD_URL: "http://127.0.0.1:9",
      CONTROL_LISTEN: "127.0.0.1:0",
      STATE_DIR: path.join(folder, "control"),
      ...env,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const closed = once(child, "close");
  const lines: string[] = [];
  const url = Promise.withResolvers<string>();
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(line);
    const said = JSON.parse(line) as { readonly event?: string; readonly url?: string };
    if (said.event === "compose-agent.started") url.resolve(said.url ?? "");
  });
  closed.then(
    () => url.reject(new Error(`the compose-agent ended: ${lines.join("\n")}`)),
    () => {},
  );
  return {
    commandLine: process.platform === "linux" ? readFileSync(`/proc/${child.pid}/cmdline`, "utf8") : "",
    lines,
    url: await url.promise,
    async stop() {
      child.kill("SIGTERM");
      await closed;
    },
  };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}
