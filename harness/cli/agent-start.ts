import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { z } from "zod";
import { HarnessError } from "../base/errors.ts";
import type { SafetyMode } from "../base/safety-mode.ts";
import type { SubjectInstance } from "../protocol.ts";
import { tokensBelow } from "../trial/control.ts";
import { LEGACY_WARNING, settingsOf } from "./agent-mode.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { ticketPath } from "./open-ticket-file.ts";
import { standingControl } from "./standing-control.ts";
import { openStanding, standingInstance } from "./standing-instance.ts";
import { safetyMode } from "./trial-options.ts";

export interface StartFlags {
  readonly db?: string;
  readonly operator?: string;
  readonly model?: string;
  readonly maxUsd?: string;
  readonly observe?: true;
  readonly safetyMode?: SafetyMode;
  readonly runbooks?: readonly string[];
  readonly once?: true;
  readonly composeMode?: boolean;
}

/** `lab agent start`. @throws HarnessError where there is no cluster to work on, or not this way. */
export async function start(flags: StartFlags, io: CliIo): Promise<void> {
  const standing = standingInstance(io);
  if (standing === null)
    throw new HarnessError("not-found", "there is no cluster to work on: start one with `lab subject up tikv`");
  const compose = settingsOf(flags, io).composeAgentEnabled;
  if (compose && standing.kind === "docker")
    throw new HarnessError(
      "usage",
      "beside a cluster in containers the agent of compose mode runs in one: `lab agent up --compose-mode`",
    );
  if (standing.kind === "docker") io.err(LEGACY_WARNING);
  const person = flags.operator === "human";
  if (person && !(io.stdinIsTty && io.stdoutIsTty))
    throw new HarnessError("config-invalid", "--operator human needs a terminal: input or output is not one");
  const mode = flags.observe === true ? "observe" : (flags.safetyMode ?? safetyMode(io.env));
  io.err(MODE_NOTICE[mode]);
  if (person) io.err("waiting for an incident; Ctrl-C ends it\n");
  if (flags.operator === "external")
    io.err("waiting for an incident; then `lab mcp token` makes a token for it, and `lab mcp serve` the way to it\n");
  await using scope = new AsyncDisposableStack();
  const instance = scope.use(await openStanding(standing, io));
  const control = compose ? scope.use(await controlFor(instance, flags, mode, io)) : null;
  const settings = {
    ...instance.operatorEnvironment("host"),
    COMPOSE_AGENT_ENABLED: String(compose),
    ...control?.operator,
  };
  const program = resolve(import.meta.dirname, `../agent/main${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`);
  const child = spawn(process.execPath, [program, ticketPath(io, flags.db), ...programFlags(flags, io.cwd)], {
    env: { ...definedOf(io.env), ...settings, INSTANCE_ID: standing.id },
    stdio: person ? ["inherit", "inherit", "pipe"] : ["ignore", "inherit", "inherit"],
    // Ctrl-C on the terminal reaches us; we tell the agent, so that it ends its session once and in order.
    detached: true,
  });
  // JSON lines would fall between the person's; the record has everything, and this what went wrong.
  if (child.stderr !== null) void sayFailures(child.stderr, io);
  const stop = () => child.kill("SIGTERM");
  io.signal.addEventListener("abort", stop, { once: true });
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0 && !io.signal.aborted) io.setExitCode(code ?? EXIT.internal);
  } finally {
    io.signal.removeEventListener("abort", stop);
  }
}

async function controlFor(instance: SubjectInstance, flags: StartFlags, mode: SafetyMode, io: CliIo) {
  const variant = { name: flags.operator ?? "runbook", mode, model: null, usdCap: null, runbookDirs: [] };
  const control = await standingControl(instance, { tickets: ticketPath(io, flags.db), variant }, io);
  io.err(
    `compose mode; status panel: ${control.panel}\naudit: \`lab audit show ${control.folder}\`\n` +
      `a request by hand: ${byHand(control)} npx lab control call list\n`,
  );
  return control;
}

/** What points `lab control` at a control plane that is no deployment's of this machine. */
function byHand({
  operator,
  folder,
}: {
  readonly operator: Readonly<Record<string, string>>;
  readonly folder: string;
}) {
  const { ENGINE = "", DEPLOYMENT_HASH = "" } = operator;
  const url = ENGINE.replace(/^control:/, "");
  return `CONTROL_URL=${url} DEPLOYMENT_HASH=${DEPLOYMENT_HASH} TOKEN_DIR=${tokensBelow(folder)}`;
}

function programFlags(flags: StartFlags, cwd: string): readonly string[] {
  return [
    ...(flags.operator === undefined ? [] : ["--operator", flags.operator]),
    ...(flags.model === undefined ? [] : ["--model", flags.model]),
    ...(flags.maxUsd === undefined ? [] : ["--max-usd", flags.maxUsd]),
    ...safetyFlags(flags),
    ...(flags.runbooks === undefined
      ? []
      : ["--runbooks", flags.runbooks.map((folder) => resolve(cwd, folder)).join(":")]),
    ...(flags.once === undefined ? [] : ["--once"]),
  ];
}

const MODE_NOTICE: Readonly<Record<SafetyMode, string>> = {
  observe: "observe mode: nothing will be changed\n",
  propose: "propose mode: each change waits for a person; `lab approve list` shows what does\n",
  execute: "execute mode: it may change the cluster\n",
};

function safetyFlags({ observe, safetyMode: mode }: StartFlags): readonly string[] {
  if (observe === true) return ["--safety-mode", "observe"];
  return mode === undefined ? [] : ["--safety-mode", mode];
}

async function sayFailures(log: Readable, io: CliIo): Promise<void> {
  for await (const line of createInterface({ input: log })) {
    const failed = failure.safeParse(jsonOf(line));
    if (failed.success) io.err(`${failed.data.event}: ${failed.data.why ?? failed.data.reason ?? "no reason given"}\n`);
  }
}

const failure = z.object({
  level: z.literal("error"),
  event: z.string(),
  why: z.string().optional(),
  reason: z.string().optional(),
});

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function definedOf(env: CliIo["env"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
