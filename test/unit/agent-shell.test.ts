import { describe, expect, test } from "vitest";
import { shell, SHELL_BYTES, type ShellResult } from "../../harness/agent/tools/shell.ts";
import { shellEffect } from "../../harness/agent/tools/shell-effect.ts";
import { buildTools } from "../../harness/agent/tools/index.ts";
import type { Effect } from "../../harness/protocol.ts";

describe("a line of shell", () => {
  test.each<[string, Effect]>([
    ["ls -la /tmp", "read"],
    ["getent hosts pd0", "read"],
    ["cat /etc/hosts | grep pd0", "read"],
    ["curl -fsS -m 2 http://pd0:2379/pd/api/v1/stores", "read"],
    [
      "curl -s 'http://pd0:2379/pd/api/v1/region/key/%74' | tr -s ' ' | cut -d: -f2 | sort -rn -k 2 | uniq -c | head -n 5",
      "read",
    ],
    ['grep -c "a b" /etc/services|wc -l', "read"],
    ["/usr/bin/df -h", "read"],
    ["echo done", "read"],
    // Whatever the shell itself would read: lists, redirections, expansions, assignments, comments, blocks.
    ["ls; reboot", "destructive"],
    ["ls && reboot", "destructive"],
    ["ls || reboot", "destructive"],
    ["ls |& tee x", "destructive"],
    ["ls &", "destructive"],
    ["ls > /tmp/x", "destructive"],
    ["cat < /tmp/x", "destructive"],
    ["cat $HOME", "destructive"],
    ['cat "$HOME"', "destructive"],
    ['cat "`id`"', "destructive"],
    ["cat `id`", "destructive"],
    ["cat $(id)", "destructive"],
    ["cat <(id)", "destructive"],
    ["cat ~/x", "destructive"],
    ["cat /tmp/*", "destructive"],
    ["cat /tmp/{a,b}", "destructive"],
    ["cat a\\ b", "destructive"],
    ["ls\nreboot", "destructive"],
    ["ls\treboot", "destructive"],
    ["PATH=/tmp ls", "destructive"],
    ["ls # all", "destructive"],
    ["! ls", "destructive"],
    ["| ls", "destructive"],
    ["ls |", "destructive"],
    ["'ls", "destructive"],
    ["", "destructive"],
    // Programs and arguments that no row knows to read.
    ["/tmp/ls", "destructive"],
    ["./ls", "destructive"],
    ["node -e 1", "destructive"],
    ["bash", "destructive"],
    ["sort -o /tmp/x /tmp/y", "destructive"],
    ["sort --compress-program=/tmp/x /tmp/y", "destructive"],
    ["sort -t -o /tmp/x", "destructive"],
    ["uniq /tmp/a /tmp/b", "destructive"],
    ["tee /tmp/x", "destructive"],
    ["awk 1", "destructive"],
    ["sed p", "destructive"],
    ["find /tmp", "destructive"],
    ["xargs rm", "destructive"],
    ["curl -X POST http://pd0:2379/pd/api/v1/leader/resign", "destructive"],
    ["curl -o /tmp/x http://pd0:2379/", "destructive"],
    ["kill 1", "destructive"],
    ["constructor", "destructive"],
  ])("%j: %s", (line, effect) => {
    expect(shellEffect(line)).toBe(effect);
  });
});

describe("the tool shell", () => {
  const done: ShellResult = { exitCode: 3, stdout: "out", stderr: "err", truncated: true, timedOut: false };
  const runner = (result: ShellResult, calls: unknown[] = []) => ({
    run: async (command: string, options: object) => (calls.push({ command, ...options }), result),
  });
  const signal = new AbortController().signal;

  test("two minutes at most, both outputs, the exit code", async () => {
    const calls: unknown[] = [];
    const tool = shell(runner(done, calls));
    const input = tool.input.parse({ command: "ls", reason: "to see what there is" });
    expect(await tool.run(input, signal)).toEqual({
      text: "exit code 3, output cut\nstdout:\nout\nstderr:\nerr",
      isError: false,
      exitCode: 3,
    });
    expect(calls).toEqual([{ command: "ls", timeoutMs: 120_000, maxBytes: SHELL_BYTES }]);
    expect(tool.input.safeParse({ ...input, timeout_seconds: 121 }).success).toBe(false);
    const late = await shell(runner({ ...done, timedOut: true })).run({ ...input, timeout_seconds: 5 }, signal);
    expect(late.text).toMatch(/^killed after 5 s/);
  });

  test("is offered where there is a shell of its own user, and nowhere else", () => {
    const sources = { kit: { tools: [], causes: [] }, prometheus: null, components: [], findings: { submitted: null } };
    const names = (shellRunner: unknown) =>
      buildTools({ ...sources, engine: {}, clock: {}, shell: shellRunner } as never, "execute").map(({ name }) => name);
    expect(names(null)).not.toContain("shell");
    expect(names(runner(done))).toContain("shell");
  });
});
