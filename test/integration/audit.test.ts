import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { silentLog } from "../../harness/base/log.ts";
import {
  auditIn,
  controlHome,
  databaseAnchor,
  fileAnchor,
  openAudit,
  verifyAudit,
  type AuditEntry,
  type AuditOptions,
} from "../../harness/control/audit/index.ts";
import { lab } from "../support/cli.ts";

const deps = { clock: systemClock, log: silentLog };
const WRITER = resolve(import.meta.dirname, "../support/programs/audit-writer.ts");
const WHO: AuditEntry = {
  plane: "compose_agent",
  caller: "operator-1",
  command: "restart",
  target: "tikv1",
  effect: "write",
  incident: "i-1",
  commandId: "c-1",
};

let folder = "";
const started: ChildProcessWithoutNullStreams[] = [];
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "audit-"))));
afterEach(async () => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

const optionsFor = (more: Partial<AuditOptions> = {}): AuditOptions => ({
  writer: "compose-agent",
  folder: join(folder, "audit"),
  keyFolder: join(folder, "key"),
  anchors: [fileAnchor(join(folder, "anchor", "head"))],
  ...more,
});

/** Six lines: two commands, one refused. */
async function writeSome(options = optionsFor()): Promise<void> {
  await using trail = await openAudit(options, deps);
  await trail.outcome(await trail.intent(WHO), { verdict: "ok", code: null });
  await trail.outcome(await trail.intent(WHO), { verdict: "failed", code: "not-found", why: "no such component" });
  await trail.refused({ ...WHO, plane: "status_panel" }, { code: "scope-missing" });
}

async function filesOf(): Promise<string[]> {
  const place = join(folder, "audit", "compose-agent");
  return (await readdir(place)).filter((name) => name.endsWith(".jsonl")).map((name) => join(place, name));
}
const onlyFile = async (): Promise<string> => (await filesOf())[0]!;
const linesOf = async (path: string): Promise<string[]> => (await readFile(path, "utf8")).trimEnd().split("\n");
const found = (options = optionsFor()) => verifyAudit(options).findings.map(({ kind, seq }) => [kind, seq]);

describe("the audit", () => {
  test("has an intent and an outcome for each command, refused ones too, each with the hash of the line before", async () => {
    await writeSome();
    const lines = await linesOf(await onlyFile());
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.map(({ kind, plane, verdict }) => [kind, plane, verdict])).toEqual([
      ["intent", "compose_agent", undefined],
      ["outcome", "compose_agent", "ok"],
      ["intent", "compose_agent", undefined],
      ["outcome", "compose_agent", "failed"],
      ["intent", "status_panel", undefined],
      ["outcome", "status_panel", "refused"],
    ]);
    for (const record of records)
      expect(record).toMatchObject({ caller: "operator-1", target: "tikv1", incident: "i-1" });
    expect(new Set(records.map(({ prev }) => prev)).size).toBe(6);
    expect(verifyAudit(optionsFor())).toMatchObject({
      intact: true,
      lines: 6,
      intents: 3,
      outcomes: { ok: 1, failed: 1, refused: 1, unknown: 0 },
      byPlane: { compose_agent: 2, status_panel: 1 },
      open: [],
    });
  });

  test("goes on where it was left, and has one writer at a time", async () => {
    await writeSome();
    {
      await using trail = await openAudit(optionsFor(), deps);
      await expect(openAudit(optionsFor(), deps)).rejects.toThrow(/has a writer already/);
      expect(trail.head().seq).toBe(6);
    }
    await writeSome();
    expect(verifyAudit(optionsFor())).toMatchObject({ intact: true, lines: 12 });
  });

  test("finds each changed byte, and says where", async () => {
    await writeSome();
    const path = await onlyFile();
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at += 7) {
      const changed = Buffer.from(whole);
      changed[at] = changed[at]! ^ 1;
      await writeFile(path, changed);
      const { intact, findings } = verifyAudit(optionsFor());
      expect(intact, `byte ${at}`).toBe(false);
      const line = whole.subarray(0, at).filter((byte) => byte === 0x0a).length + 1;
      expect(findings[0]!.place, `byte ${at}`).toBe(`${path}:${line}`);
    }
    await writeFile(path, whole);
    expect(found()).toEqual([]);
  });

  test("finds a removed line, one that was moved, and a cut tail; and opens none of these", async () => {
    await writeSome();
    const path = await onlyFile();
    const lines = await linesOf(path);
    const put = (kept: readonly string[]) => writeFile(path, kept.map((line) => `${line}\n`).join(""));
    await put(lines.toSpliced(2, 1));
    expect(found()).toEqual([["removed-lines", 3]]);
    await put(lines.toSpliced(0, 2));
    expect(found()).toEqual([["removed-lines", 1]]);
    await put([...lines.slice(0, 2), lines[3]!, lines[2]!, ...lines.slice(4)]);
    expect(found()[0]).toEqual(["removed-lines", 3]);
    await put(lines.slice(0, 4));
    expect(found()).toEqual([["cut-tail", 5]]);
    await expect(openAudit(optionsFor(), deps)).rejects.toThrow(/the tail was cut: the chain ends at line 4/);
    await rm(path);
    expect(found()).toEqual([["cut-tail", 1]]);
    await put(lines);
    expect(found()).toEqual([]);
  });

  test("finds a tail that was cut in mid-line, and an anchor that went with it", async () => {
    await writeSome();
    const path = await onlyFile();
    const { size } = await stat(path);
    await truncate(path, size - 10);
    expect(found()).toEqual([["cut-tail", 6]]);
    await expect(openAudit(optionsFor(), deps)).rejects.toThrow(/the tail was cut/);
    await rm(join(folder, "anchor"), { recursive: true });
    expect(found()).toEqual([["anchor", null]]);
  });

  test("finds a chain that was written anew with the key, by its second anchor in the queue's database", async () => {
    using database = databaseAnchor(join(folder, "queue.db"));
    const options = optionsFor({ anchors: [...optionsFor().anchors, database] });
    await writeSome(options);
    await rm(join(folder, "audit"), { recursive: true });
    await rm(join(folder, "anchor"), { recursive: true });
    await writeSome();
    expect(found(options)).toEqual([["replaced-line", 6]]);
  });

  test("keeps its key in a folder of its own that nobody else can read, and refuses one that others can", async () => {
    await writeSome();
    const [dir, key] = [await stat(join(folder, "key")), await stat(join(folder, "key", "audit.key"))];
    expect([dir.mode & 0o777, key.mode & 0o777]).toEqual([0o700, 0o600]);
    execFileSync("chmod", ["644", join(folder, "key", "audit.key")]);
    await expect(openAudit(optionsFor(), deps)).rejects.toThrow(/can be read by others/);
    await rm(join(folder, "key"), { recursive: true });
    expect(found()).toEqual([["key", null]]);
  });

  test("keeps the chain over files that are full, and finds one of them missing", async () => {
    await writeSome(optionsFor({ maxFileBytes: 500 }));
    await writeSome(optionsFor({ maxFileBytes: 500 }));
    const files = await filesOf();
    expect(files.length).toBeGreaterThan(3);
    expect(verifyAudit(optionsFor())).toMatchObject({ intact: true, lines: 12, files: files.length });
    await rm(files[1]!);
    expect(verifyAudit(optionsFor()).findings[0]).toMatchObject({ kind: "removed-lines" });
  });

  test("tells a line that its writer could not finish from tampering, mends it and says so", async () => {
    await writeSome();
    const path = await onlyFile();
    await appendFile(path, '{"seq":7,"prev":"');
    expect(verifyAudit(optionsFor())).toMatchObject({ intact: true, torn: `${path}:7` });
    {
      await using _ = await openAudit(optionsFor(), deps);
    }
    const last = JSON.parse((await linesOf(path)).at(-1)!) as { name: string; fields: { bytes: number } };
    expect(last).toMatchObject({ seq: 7, kind: "event", name: "torn-line-removed", fields: { bytes: 17 } });
    expect(verifyAudit(optionsFor())).toMatchObject({ intact: true, torn: null, lines: 7 });
  });

  test("commands that come together share a line's way to the disk and keep their order", async () => {
    await using trail = await openAudit(optionsFor(), deps);
    const handles = await Promise.all(Array.from({ length: 200 }, () => trail.intent(WHO)));
    expect(handles.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
    expect(verifyAudit(optionsFor())).toMatchObject({ intact: true, open: handles.map(({ seq }) => seq) });
  });
});

describe("lab audit", () => {
  test("verify: exit code 0 for a chain that is intact, 1 with the place of what was changed; show: who did what", async () => {
    const home = controlHome(folder);
    {
      using options = auditIn(home, "compose-agent");
      await writeSome(options);
    }
    const args = (...rest: string[]) => lab(["audit", ...rest]);
    expect(await args("verify", folder)).toMatchObject({
      code: 0,
      out: expect.stringContaining("compose-agent: intact, 6 lines in 1 file, 3 commands (1 ok, 1 failed, 1 refused)"),
    });
    const shown = await args("show", folder);
    expect(shown.out).toContain(
      "compose_agent  operator-1  restart tikv1  -> failed (line 3): not-found, no such component",
    );
    expect((await args("show", folder, "--tail", "1", "--json")).out.trim().split("\n")).toHaveLength(1);

    const path = await onlyFile();
    const lines = await linesOf(path);
    await writeFile(path, `${lines.toSpliced(3, 1, lines[3]!.replace("not-found", "no-reason")).join("\n")}\n`);
    const changed = await args("verify", folder);
    expect(changed.code).toBe(1);
    expect(changed.out).toContain(`line 4 of the chain was changed`);
    expect(changed.out).toContain(`at ${path}:4`);
    await rm(join(folder, "audit"), { recursive: true });
    const gone = await args("verify", folder, "--json");
    expect(gone.code).toBe(1);
    expect(JSON.parse(gone.out)).toMatchObject([
      { intact: false, findings: [{ kind: "cut-tail" }, { kind: "cut-tail" }] },
    ]);
    expect((await args("verify", join(folder, "elsewhere"))).code).toBe(4);
  });
});

test("lab doctor: what compose mode needs, and an audit that was changed is a problem", async () => {
  const env = { STATE_DIR: folder, TOKEN_DIR: join(folder, "tokens"), HOME: folder, COMPOSE_AGENT_ENABLED: "yes" };
  const doctor = async () => {
    const { out } = await lab(["doctor", "--json"], { env });
    const findings = JSON.parse(out) as { what: string; state: string; text: string }[];
    return Object.fromEntries(findings.map(({ what, state, text }) => [what, { state, text }]));
  };
  {
    using options = auditIn(controlHome(folder), "compose-agent");
    await writeSome(options);
  }
  await lab(["token", "rotate", "status_panel"], { env });
  expect(await doctor()).toMatchObject({
    "control plane": { state: "ok", text: expect.stringContaining("compose mode is on") },
    "token panel": { state: "ok" },
    "token agent": { state: "info", text: expect.stringContaining("lab token rotate compose_agent") },
    audit: { state: "ok", text: "compose-agent: intact, 6 lines" },
  });
  await rm(await onlyFile());
  expect((await doctor())["audit"]).toMatchObject({
    state: "problem",
    text: expect.stringContaining("lab audit verify"),
  });
  const wrong = await lab(["doctor", "--json"], { env: { ...env, COMPOSE_AGENT_ENABLED: "perhaps" } });
  expect(wrong.code).toBe(1);
});

describe("a writer that is killed in mid-command", () => {
  test("loses nothing that it acknowledged, and its open intents end as unknown", async () => {
    for (let round = 0; round < 5; round++) {
      const { child, acknowledged, sees } = writer(["4"]);
      await sees(20 + round * 7);
      child.kill("SIGKILL");
      await once(child, "close");
      const killed = verifyAudit(optionsFor());
      expect(killed.intact, JSON.stringify(killed.findings)).toBe(true);
      expect(killed.head.seq).toBeGreaterThanOrEqual(Math.max(...acknowledged()));
      {
        await using _ = await openAudit(optionsFor(), deps);
      }
      const mended = verifyAudit(optionsFor());
      expect(mended).toMatchObject({ intact: true, open: [], torn: null });
      expect(mended.outcomes.unknown).toBeGreaterThanOrEqual(killed.open.length);
    }
  });
});

describe("a full disk", () => {
  test("stops commands with the reason; what was run is told before the next one, once there is room", async () => {
    const { child, acknowledged, sees, said } = writer(["4"], 16);
    await sees(/stopped: the audit in .* cannot be written \(EFBIG.*failing\)/);
    const full = verifyAudit(optionsFor());
    expect(full.intact, JSON.stringify(full.findings)).toBe(true);
    const before = acknowledged().length;
    child.stdin.write("again\n");
    await sees(/(stopped[^]*){2}/);
    expect(acknowledged().length).toBe(before);

    execFileSync("prlimit", ["--pid", String(child.pid), "--fsize=unlimited"]);
    child.stdin.write("again\n");
    await sees(before + 20);
    child.kill("SIGKILL");
    await once(child, "close");
    const mended = verifyAudit(optionsFor());
    expect(mended.intact, said()).toBe(true);
    // Four were in hand when the disk was full: those that had run were told later, the others never began.
    expect(mended.open.length).toBeLessThanOrEqual(4);
    expect(mended.open.every((seq) => seq > full.head.seq)).toBe(true);
  });

  test("an anchor that cannot be written stops them too, and the chain says that they never ran", async () => {
    const real = fileAnchor(join(folder, "anchor", "head"));
    let broken = false;
    const anchor = {
      ...real,
      write: (...args: Parameters<typeof real.write>) => {
        if (broken) throw new Error("no space left on the device");
        real.write(...args);
      },
    };
    await using trail = await openAudit(optionsFor({ anchors: [anchor] }), deps);
    broken = true;
    await expect(trail.intent(WHO)).rejects.toThrow(/no space left/);
    expect(trail.counts().failing).toMatch(/no space left/);
    broken = false;
    await trail.outcome(await trail.intent(WHO), { verdict: "ok", code: null });
    expect(trail.counts().failing).toBeNull();
    expect(verifyAudit(optionsFor())).toMatchObject({
      intact: true,
      open: [],
      outcomes: { ok: 1, refused: 1, failed: 0, unknown: 0 },
    });
  });
});

interface WriterProcess {
  readonly child: ChildProcessWithoutNullStreams;
  acknowledged(): number[];
  said(): string;
  /** So many acknowledged intents, or a text. */
  sees(what: number | RegExp): Promise<void>;
}

/** @param blocks at most so many blocks of 512 bytes in any file that it writes. */
function writer(args: readonly string[], blocks?: number): WriterProcess {
  const limit = blocks === undefined ? "" : `ulimit -S -f ${blocks}; `;
  const child = spawn("sh", ["-c", `${limit}exec "$0" "$@"`, process.execPath, WRITER, folder, ...args]);
  started.push(child);
  let text = "";
  const changed = new EventTarget();
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    changed.dispatchEvent(new Event("more"));
  });
  child.stderr.on("data", (chunk: Buffer) => void (text += chunk.toString()));
  const acknowledged = () =>
    text
      .split("\n")
      .filter((line) => /^\d+$/.test(line))
      .map(Number);
  return {
    child,
    acknowledged,
    said: () => text,
    async sees(what) {
      const there = () => (typeof what === "number" ? acknowledged().length >= what : what.test(text));
      while (!there()) {
        if (child.exitCode !== null) throw new Error(`the writer has ended:\n${text}`);
        await once(changed, "more");
      }
    },
  };
}
