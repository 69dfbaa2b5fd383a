import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";

const MAIN = join(import.meta.dirname, "../../subjects/tikv/stand-in/tikv-main.ts");
const folder = mkdtempSync(join(tmpdir(), "tikv-program-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Few files, so that every machine's limit will do. */
const FILES = "[rocksdb]\nmax-open-files = 8\n[raftdb]\nmax-open-files = 8\n";

function configFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Until it ends by itself, or has logged `until`; then it is killed and `code` is null. */
async function run(argv: readonly string[], until?: RegExp) {
  const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const closed = once(child, "close");
  if (until !== undefined)
    await waitFor(() => until.test(err) || child.exitCode !== null, {
      clock: systemClock,
      timeoutMs: 20_000,
      everyMs: 20,
      what: String(until),
    }).finally(() => child.kill("SIGKILL"));
  const [code] = (await closed) as [number | null];
  return { code, out, err };
}

/** Nobody listens there. */
const NO_PD = "--pd=127.0.0.1:9";
const LOST = /PD failed to respond/;

describe("the program", () => {
  it("refuses flags that it does not know, and values that they cannot have", async () => {
    const unknown = await run(["--nonsense"]);
    expect(unknown).toMatchObject({ code: 1, out: "" });
    expect(unknown.err).toMatch(/^error: Found argument '--nonsense' which wasn't expected, or isn't valid/);
    const level = await run(["-L", "loud"]);
    expect(level.code).toBe(1);
    expect(level.err).toContain("'loud' isn't a valid value for '--log-level <LEVEL>'");
    expect((await run(["--labels=zone"])).err).toBe("invalid label: zone\n");
  });

  it("says its version and what it could be configured with", async () => {
    expect(await run(["-V"])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^TiKV \nRelease Version: {3}8\.5/),
    });
    const sample = await run(["--print-sample-config"]);
    expect(sample).toMatchObject({ code: 0, out: expect.stringContaining('max-peer-down-duration = "10m"') });
  });

  it("panics before it has a log when its file is none", async () => {
    const broken = await run(["-C", configFile("broken.toml", "[raftstore\n")]);
    expect(broken.code).toBe(101);
    expect(broken.err).toMatch(
      /^thread 'main' panicked at .*\ninvalid auto generated configuration file .*broken\.toml/,
    );
    const wrong = await run(["-C", configFile("wrong.toml", "[server]\ngrpc-concurrency = 'x'\n")]);
    expect(wrong.code).toBe(101);
  });

  it("ends with 1 and a FATAL line for a value that it cannot run with", async () => {
    const config = configFile("invalid.toml", "[raftstore]\nraft-heartbeat-ticks = 0\n");
    const invalid = await run(["-C", config, `--data-dir=${join(folder, "invalid")}`, NO_PD]);
    expect(invalid.code).toBe(1);
    expect(invalid.err).toMatch(/\[FATAL\].*invalid configuration: heartbeat tick must greater than 0/);
  });

  it("passes over unknown keys, which only a check tells", async () => {
    const config = configFile("unknown.toml", `${FILES}[raftstore]\nnonsense = 1\n`);
    const checked = await run(["-C", config, "--config-check", `--data-dir=${join(folder, "none")}`]);
    expect(checked).toMatchObject({ code: 1, err: "unknown configuration options: raftstore.nonsense\n" });
    const ran = await run(["-C", config, `--data-dir=${join(folder, "unknown")}`, NO_PD, "--status-addr="], LOST);
    expect(ran.err).toMatch(LOST);
    expect(ran.err).not.toContain("nonsense");
    const good = configFile("good.toml", FILES);
    expect(await run(["-C", good, "--config-check"])).toMatchObject({ code: 0, out: "config check successful\n" });
  });

  it("refuses another place for its log than the last time", async () => {
    const [data, config] = [join(folder, "moved"), configFile("first.toml", FILES)];
    const argv = [`--data-dir=${data}`, NO_PD, "--status-addr="];
    expect((await run(["-C", config, ...argv], LOST)).err).toMatch(LOST);
    const other = configFile("second.toml", `${FILES}[raft-engine]\ndir = "/elsewhere"\n`);
    const moved = await run(["-C", other, ...argv]);
    expect(moved.code).toBe(1);
    expect(moved.err).toContain("critical config check failed: raft engine dir have been changed, former is '");
  });

  it("needs to be able to open enough files", async () => {
    const config = configFile("files.toml", "[rocksdb]\nmax-open-files = 4000000000\n");
    const few = await run(["-C", config, `--data-dir=${join(folder, "files")}`, NO_PD]);
    if (few.err === "") return;
    expect(few).toMatchObject({ code: 1 });
    expect(few.err).toMatch(/file descriptors is too small, got \d+, expect greater or equal to 4000041960/);
  });

  it("logs to a file instead of stderr, and as JSON, when it is told to", async () => {
    const file = join(folder, "logs", "tikv.log");
    const config = configFile("json.toml", `${FILES}[log]\nformat = "json"\n`);
    const argv = ["-C", config, `--data-dir=${join(folder, "json")}`, NO_PD, "--status-addr="];
    const plain = await run(argv, LOST);
    const [first] = plain.err.split("\n");
    expect(JSON.parse(first ?? "")).toMatchObject({ level: "INFO", caller: "lib.rs:92", message: "Welcome to TiKV" });
    const text = configFile("text.toml", `${FILES}[raftstore]\nraft-heartbeat-ticks = 0\n`);
    const logged = await run(["-C", text, `--data-dir=${join(folder, "text")}`, "--log-file", file, NO_PD]);
    expect(logged).toMatchObject({ code: 1, err: "" });
    expect(readFileSync(file, "utf8")).toMatch(/^\[\d{4}\/\d\d\/\d\d .*Welcome to TiKV[^]*\[FATAL\]/);
  });
});
