import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { shellChannel } from "../../harness/agent/shell/channel.ts";
import type { ShellRunner } from "../../harness/agent/tools/shell.ts";

const HELPER = resolve(import.meta.dirname, "../../harness/agent/shell/helper-main.ts");
const options = { timeoutMs: 30_000, maxBytes: 1_000 };

interface Helper extends AsyncDisposable {
  readonly shell: ShellRunner;
  readonly ended: Promise<unknown>;
}

/** Without `--alone`: these tests run as somebody who has other processes. */
async function helper(env: Readonly<Record<string, string>> = {}): Promise<Helper> {
  const child = spawn(process.execPath, [HELPER], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const [first] = (await once(child.stdout, "data")) as [Buffer];
  expect(first.toString()).toBe("ready\n");
  return {
    shell: shellChannel(child.stdout, child.stdin),
    ended,
    async [Symbol.asyncDispose]() {
      child.stdin.destroy();
      await ended;
    },
  };
}

/** It has been killed, though nobody may have taken note of its end yet. */
const ended = (pid: string) =>
  waitFor(
    async () => {
      const { stdout } = await promisify(execFile)("ps", ["-o", "stat=", "-p", pid]).catch(() => ({ stdout: "" }));
      return stdout.trim() === "" || stdout.startsWith("Z");
    },
    { clock: systemClock, timeoutMs: 20_000, everyMs: 50, what: `process ${pid} to end` },
  );

test("a line of shell is run by bash; both outputs and the exit code come back, cut at the bound", async ({
  signal,
}) => {
  await using one = await helper({ PD_URLS: "http://pd0:2379" });
  expect(await one.shell.run("echo $PD_URLS; echo no >&2; exit 3", options, signal)).toEqual({
    exitCode: 3,
    stdout: "http://pd0:2379\n",
    stderr: "no\n",
    truncated: false,
    timedOut: false,
  });
  const long = await one.shell.run("yes | head -c 100000", options, signal);
  expect([long.stdout.length, long.truncated]).toEqual([1_000, true]);
});

test("when its time is over, the whole process group is killed", async ({ signal }) => {
  await using one = await helper();
  const late = await one.shell.run("sleep 1000 & echo $!; sleep 1000", { ...options, timeoutMs: 300 }, signal);
  expect(late).toMatchObject({ exitCode: 137, timedOut: true });
  await ended(late.stdout.trim());
});

test("what a line leaves behind ends with it", async ({ signal }) => {
  await using one = await helper();
  const quick = await one.shell.run("sleep 1000 & echo $!", options, signal);
  expect(quick).toMatchObject({ exitCode: 0, timedOut: false });
  await ended(quick.stdout.trim());
});

test("an aborted call kills what it started, and the next one runs", async ({ signal }) => {
  await using one = await helper();
  const stop = new AbortController();
  const long = one.shell.run("sleep 1000", options, stop.signal);
  stop.abort(new Error("enough"));
  await expect(long).rejects.toThrow("enough");
  expect((await one.shell.run("echo next", options, signal)).stdout).toBe("next\n");
});

test("observe mode is kept where the line would run, too", async ({ signal }) => {
  await using one = await helper({ OPERATOR_SAFETY_MODE: "observe" });
  expect(await one.shell.run("touch /tmp/x", options, signal)).toMatchObject({ exitCode: 126 });
  expect(await one.shell.run("echo read", options, signal)).toMatchObject({ exitCode: 0, stdout: "read\n" });
});

test("a line that kills the helper ends the shell, and is told so; so is every later one", async ({ signal }) => {
  await using one = await helper();
  const gone = { code: "wrong-state", message: expect.stringContaining("does not come back") };
  await expect(one.shell.run("kill -KILL $PPID", options, signal)).rejects.toMatchObject(gone);
  await expect(one.shell.run("true", options, signal)).rejects.toMatchObject(gone);
});

test.each([
  ["no JSON", "hello\n"],
  ["an answer to nothing", '{"id":7,"exitCode":0,"stdout":"","stderr":"","truncated":false,"timedOut":false}\n'],
  ["a line without end", "x".repeat(3 * 1024 * 1024)],
])("what the other end says is not believed: %s ends the channel", async (_, said) => {
  const from = new PassThrough();
  const run = shellChannel(from, new PassThrough()).run("true", options, new AbortController().signal);
  from.write(said);
  await expect(run).rejects.toMatchObject({ code: "wrong-state" });
});

test("the helper ends with its input", async () => {
  const one = await helper();
  await one[Symbol.asyncDispose]();
  expect(await one.ended).toEqual([0, null]);
});
