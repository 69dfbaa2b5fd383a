import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import os from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { auditIn, controlHome, verifyAudit } from "../../harness/control/audit/index.ts";
import { controlClient } from "../../harness/control/client/index.ts";
import { PLANES } from "../../harness/control/planes.ts";
import { fileTokens, openTokenCache, rotateToken } from "../../harness/control/tokens/index.ts";
import { engineSocket } from "../../harness/engine/process/paths.ts";
import { startSupervisor } from "../../harness/engine/process/start-supervisor.ts";
import { suiteNode } from "../support/suite-nodes.ts";

const MAIN = resolve(import.meta.dirname, "../../harness/control/main.ts");
const linux = process.platform === "linux";
const never = new AbortController().signal;
const deps = { clock: systemClock, ids: randomIds, fetch: globalThis.fetch, log: silentLog, random: seededRandom(1) };

let folder = "";
const scope = new AsyncDisposableStack();
beforeAll(async () => {
  folder = mkdtempSync(join(os.tmpdir(), "sidecar-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const project = { instance: "aabbccdd", project: "suite", network: "suite_default" };
  const nodes = [suiteNode(folder, "steady", "steady")];
  const { engine } = await startSupervisor({ ...project, stateDir: folder, nodes }, never);
  scope.defer(async () => {
    await engine.tearDown();
    await engine[Symbol.asyncDispose]();
  });
});
afterAll(() => scope.disposeAsync());

interface Program extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  /** Of the control API; rejects when the program ends before. */
  readonly url: Promise<string>;
  readonly ended: Promise<number | null>;
}

/** State and tokens of a test of its own. @param blocks at most so many blocks of 512 bytes in any file. */
function start(name: string, env: Readonly<Record<string, string>> = {}, blocks?: number): Program {
  const limit = blocks === undefined ? "" : `ulimit -S -f ${blocks}; `;
  const child = spawn("sh", ["-c", `${limit}exec "$0" "$@"`, process.execPath, MAIN, "--compose-mode"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: folder,
      ENGINE: `unix:${engineSocket(folder)}`,
      INSTANCE_ID: "aabbccdd",
      DASHBOARD_URL: "http://127.0.0.1:9",
      CONTROL_LISTEN: "127.0.0.1:0",
      STATE_DIR: stateOf(name),
      TOKEN_DIR: tokensOf(name),
      ...env,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines: string[] = [];
  const url = Promise.withResolvers<string>();
  url.promise.catch(() => {});
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(line);
    const said = JSON.parse(line) as { readonly event?: string; readonly url?: string };
    if (said.event === "compose-agent.started") url.resolve(said.url ?? "");
  });
  const ended = once(child, "close").then(([code]) => {
    url.reject(new Error(`it has ended: ${lines.join("\n")}`));
    return code as number | null;
  });
  return {
    child,
    lines,
    url: url.promise,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

const stateOf = (name: string): string => join(folder, name, "state");
const tokensOf = (name: string): string => join(folder, name, "tokens");

async function makeTokens(name: string): Promise<void> {
  for (const plane of PLANES) await rotateToken(fileTokens(tokensOf(name), deps), plane, {}, deps, never);
}

async function panelClient(name: string, url: string) {
  const tokens = await openTokenCache({ provider: fileTokens(tokensOf(name), deps), planes: PLANES }, deps, never);
  const token = () => tokens.current("status_panel");
  const options = {
    url,
    plane: "status_panel",
    agentId: "a",
    deploymentHash: "default",
    token,
    patienceMs: 0,
  } as const;
  return { tokens, client: controlClient(options, deps) };
}

/** A command over the API; its error code where it is refused. */
async function call(name: string, url: string): Promise<string> {
  const { tokens, client } = await panelClient(name, url);
  await using _tokens = tokens;
  await using _client = client;
  return await client.execute("inspect", { component: "steady" }, {}, never).then(
    ({ status }) => status,
    (error: { readonly apiCode?: string; readonly message: string }) => error.apiCode ?? error.message,
  );
}

const verified = (name: string) => {
  using options = auditIn(controlHome(stateOf(name)), "compose-agent");
  return verifyAudit(options);
};
const isWell = async (url: string): Promise<number> => {
  const env = { PATH: process.env["PATH"] ?? "", ENGINE: "docker:x", INSTANCE_ID: "x", CONTROL_LISTEN: url.slice(7) };
  const child = spawn(process.execPath, [MAIN, "--check"], { env, stdio: "ignore" });
  const [code] = (await once(child, "close")) as [number];
  return code;
};

describe("the compose-agent's program", () => {
  test("says its mode and plane, serves, is found well, and stops in order", async () => {
    await makeTokens("orderly");
    await using program = start("orderly", { CONTROL_PLANE: "compose_agent" });
    const url = await program.url;
    expect(program.lines.join("\n")).toMatch(
      /compose_agent=true - compose-agent sidecar handling Docker operations[^]*Control plane identified/,
    );
    expect(await isWell(url)).toBe(0);
    expect(await call("orderly", url)).toBe("success");
    program.child.kill("SIGTERM");
    expect(await program.ended).toBe(0);
    expect(await isWell(url)).toBe(1);
    expect(verified("orderly")).toMatchObject({ intact: true, intents: 1, open: [], outcomes: { ok: 1 } });
  });

  test("serves a Unix socket, with the same signatures, for this user alone", async () => {
    await makeTokens("socket");
    const socketPath = join(folder, "control.sock");
    await using program = start("socket", { CONTROL_LISTEN: "none", CONTROL_SOCKET: socketPath });
    await program.url;
    const health = await new Promise<string>((done, failed) => {
      request({ socketPath, path: "/health" }, (answer) => void text(answer).then(done, failed))
        .on("error", failed)
        .end();
    });
    expect(JSON.parse(health)).toMatchObject({ status: "ok" });
    if (linux) expect(execFileSync("stat", ["-c", "%a", socketPath], { encoding: "utf8" }).trim()).toBe("600");
  });

  test.each([
    ["no token", {}, () => {}, 2, /has no token/],
    [
      "an empty token",
      {},
      (name: string) => {
        const file = join(tokensOf(name), "compose_agent", "token.json");
        writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), token: "" }), { mode: 0o600 });
      },
      2,
      /is empty/,
    ],
    ["a wrong setting", { OPERATOR_SAFETY_MODE: "yolo" }, () => {}, 2, /OPERATOR_SAFETY_MODE/],
    ["an engine that does not answer", { ENGINE: "unix:/nowhere/engine.sock" }, () => {}, 3, /engine/],
  ] as const)("%s: it ends with a sentence and its exit code", async (what, env, spoil, code, sentence) => {
    const name = what.replaceAll(" ", "-");
    if (what !== "no token") await makeTokens(name);
    spoil(name);
    await using program = start(name, env);
    expect(await program.ended, program.lines.join("\n")).toBe(code);
    expect(program.lines.at(-1)).toMatch(sentence);
  });

  test("does not go on with an audit that was changed", async () => {
    await makeTokens("changed");
    {
      await using program = start("changed");
      await call("changed", await program.url);
      program.child.kill("SIGTERM");
      await program.ended;
    }
    const place = join(stateOf("changed"), "audit", "compose-agent");
    const file = join(place, readdirSync(place).find((entry) => entry.endsWith(".jsonl")) ?? "");
    writeFileSync(file, readFileSync(file, "utf8").replace('"inspect"', '"restart"'));
    await using again = start("changed");
    expect(await again.ended).toBe(3);
    expect(again.lines.at(-1)).toMatch(/is not what was written.*lab audit verify/);
  });

  test("killed in mid-work, it goes on with its chain; what was open is unknown", async () => {
    await makeTokens("killed");
    for (let round = 0; round < 3; round++) {
      await using program = start("killed");
      const url = await program.url;
      const asked = Promise.allSettled(Array.from({ length: 5 }, () => call("killed", url)));
      await call("killed", url);
      program.child.kill("SIGKILL");
      await Promise.all([program.ended, asked]);
    }
    await using last = start("killed");
    await last.url;
    expect(verified("killed")).toMatchObject({ intact: true, open: [], torn: null });
  });

  test.runIf(linux)(
    "a full disk: commands are refused with 503, /health says so, and it goes on by itself",
    async () => {
      await makeTokens("full");
      // SQLite's files of queue and anchor are larger than a few audit lines: they are made before the limit falls.
      await using program = start("full");
      const url = await program.url;
      expect(await call("full", url)).toBe("success");
      const place = join(stateOf("full"), "audit", "compose-agent");
      const file = readdirSync(place).find((entry) => entry.endsWith(".jsonl")) ?? "";
      const size = readFileSync(join(place, file)).length;
      execFileSync("prlimit", ["--pid", String(program.child.pid), `--fsize=${size + 100}:unlimited`]);
      expect(await call("full", url)).toBe("audit-failed");
      expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ audit: { ok: false } });
      execFileSync("prlimit", ["--pid", String(program.child.pid), "--fsize=unlimited"]);
      expect(await call("full", url)).toBe("success");
      expect(verified("full")).toMatchObject({ intact: true, open: [] });
    },
  );
});
