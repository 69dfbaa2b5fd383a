import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import Sqlite from "better-sqlite3";
import { systemClock } from "../../harness/base/clock.ts";
import type { HarnessError } from "../../harness/base/errors.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { auditIn, controlHome, verifyAudit } from "../../harness/control/audit/index.ts";
import { controlClient } from "../../harness/control/client/index.ts";
import { PLANES } from "../../harness/control/planes.ts";
import { fileTokens, rotateToken } from "../../harness/control/tokens/index.ts";
import type { CommandReport } from "../../harness/control/contract.ts";

/** `CONTROL_KILLS=100 npx vitest run --project integration test/integration/control-crash.test.ts` */
const KILLS = Number(process.env["CONTROL_KILLS"] ?? 10);
/** More than are used: each command has a container of its own. */
const CONTAINERS = 300 + KILLS * 50;
const AT_ONCE = 6;
const root = new URL("../../", import.meta.url).pathname;
const never = new AbortController().signal;

/** By turns: those that must never be repeated, and those that may be looked up. */
const COMMANDS = ["exec", "restart", "pause", "kill", "stop"] as const;
const DECLARATIVE: readonly string[] = ["pause", "stop"];

test(
  "a compose-agent that is killed in mid-command again and again runs none twice, and each ends known or unknown",
  { timeout: 60_000 + KILLS * 12_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "crash-"));
    const [acts, engineSocket, socketPath] = ["acts", "engine.sock", "control.sock"].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    const children = new Set<ChildProcess>();
    onTestFinished(async ({ task }) => {
      await Promise.all([...children].map((child) => end(child)));
      if (task.result?.state !== "fail") rmSync(folder, { recursive: true, force: true });
    });
    const start = async (program: string, args: readonly string[], env: Record<string, string>, until: string) => {
      const child = spawn(process.execPath, [join(root, program), ...args], {
        env: { PATH: process.env["PATH"] ?? "", HOME: folder, ...env },
        stdio: ["pipe", "pipe", "pipe"],
      });
      children.add(child);
      await said(child, until);
      return child;
    };
    const provider = fileTokens(join(folder, "tokens"), { clock: systemClock, ids: randomIds });
    const deps = { clock: systemClock, ids: randomIds };
    for (const plane of PLANES) await rotateToken(provider, plane, {}, deps, never);
    await start("test/support/programs/counting-engine.ts", [engineSocket, acts, String(CONTAINERS)], {}, "ready");
    const serve = () =>
      start(
        "harness/control/main.ts",
        [
          "--compose-mode",
          "--engine",
          `unix:${engineSocket}`,
          "--instance",
          "c1",
          "--listen",
          "none",
          "--socket",
          socketPath,
          "--state-dir",
          join(folder, "state"),
        ],
        { TOKEN_DIR: join(folder, "tokens"), DASHBOARD_URL: "http://127.0.0.1:9", EXIT_WITH_STDIN: "1" },
        "compose-agent.started",
      );
    const token = (await provider.fetch("compose_agent", never))?.current ?? null;
    const client = controlClient(
      {
        socketPath,
        plane: "compose_agent",
        agentId: "agent",
        deploymentHash: "default",
        token: () => token,
        patienceMs: 600_000,
      },
      deps,
    );
    onTestFinished(() => client[Symbol.asyncDispose]());

    const reports = new Map<number, CommandReport>();
    let [next, over] = [0, false];
    const work = async (): Promise<void> => {
      while (!over && next < CONTAINERS) {
        const n = next++;
        const [name, params] = commandOf(n);
        const ask = () => client.execute(name, params, { idempotencyKey: `k${n}` }, never);
        // On a slow machine no server may live long enough to answer within a client's patience: it asks again.
        const again = (error: unknown): Promise<CommandReport> => {
          if ((error as HarnessError).code !== "timeout") throw error;
          return ask().catch(again);
        };
        reports.set(n, await ask().catch(again));
      }
    };
    let server = await serve();
    const workers = Array.from({ length: AT_ONCE }, work);
    const failed = Promise.all(workers);
    failed.catch(() => {});
    const random = seededRandom("kills");
    for (let kill = 0; kill < KILLS; kill++) {
      const before = reports.size;
      // In mid-work, and not before something went through.
      while (reports.size === before) await systemClock.sleep(5);
      await systemClock.sleep(random.int(120));
      server.kill("SIGKILL");
      await end(server);
      server = await serve();
    }
    over = true;
    await failed;
    server.kill("SIGTERM");
    await end(server);

    const counted = Map.groupBy(
      readFileSync(acts, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as { what: string; component: string; changed: boolean }),
      ({ component }) => component,
    );
    const endings = { success: 0, failed: 0, unknown: 0, queued: 0, running: 0 };
    for (const [n, report] of reports) {
      endings[report.status] += 1;
      const [name] = commandOf(n);
      const mine = counted.get(`c${n}`) ?? [];
      const label = `${n} ${name} ${report.status}`;
      expect(mine.filter(({ changed }) => changed).length, label).toBeLessThanOrEqual(1);
      if (!DECLARATIVE.includes(name)) expect(mine.length, label).toBeLessThanOrEqual(1);
      if (report.status === "success") expect(mine.filter(({ changed }) => changed).length, label).toBe(1);
      expect(["success", "failed", "unknown"], label).toContain(report.status);
    }
    expect(reports.size).toBe(next);
    expect(endings.success).toBeGreaterThan(KILLS);
    expect(endings.failed).toBe(0);
    if (KILLS >= 20) expect(endings.unknown).toBeGreaterThan(0);
    const home = controlHome(join(folder, "state"));
    const db = new Sqlite(join(home.queue, "queue.db"), { readonly: true });
    expect(db.prepare("SELECT COUNT(*) FROM commands WHERE state <> 'done'").pluck().get()).toBe(0);
    db.close();
    using trail = auditIn(home, "compose-agent");
    expect(verifyAudit(trail)).toMatchObject({ findings: [], open: [] });
    process.stdout.write(`${KILLS} kills, ${reports.size} commands: ${JSON.stringify(endings)}\n`);
  },
);

function commandOf(n: number): readonly [name: string, params: object] {
  const name = COMMANDS[n % COMMANDS.length] ?? "exec";
  return [name, { component: `c${n}`, ...(name === "exec" ? { argv: ["change", String(n)] } : {}) }];
}

async function said(child: ChildProcess, wanted: string): Promise<void> {
  const lines: string[] = [];
  const heard = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream as NodeJS.ReadableStream }).on("line", (line) => {
      lines.push(line);
      if (line.includes(wanted)) heard.resolve();
    });
  child.once("exit", (code) => heard.reject(new Error(`it ended (${code}):\n${lines.slice(-20).join("\n")}`)));
  await heard.promise;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.stdin?.end();
  await gone;
}
