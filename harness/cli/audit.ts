import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { HarnessError } from "../base/errors.ts";
import { plain } from "../base/plain-text.ts";
import {
  auditIn,
  auditWriters,
  controlHome,
  defaultStateDir,
  readAudit,
  verifyAudit,
  type AuditRecord,
  type AuditReport,
} from "../control/audit/index.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";

interface Flags {
  readonly writer?: string;
  readonly json?: true;
}

/** `lab audit …`: what went through the control plane, and whether that is still what was written. */
export function auditCommand(io: CliIo): Command {
  const command = new Command("audit").description("what went through the control plane");
  const where = "a run's folder, or a control folder; default: the one of `lab agent up --compose-mode`";
  command
    .command("verify")
    .description("find a changed byte, a removed line, a cut tail; exit code 1 when one is found")
    .argument("[folder]", where)
    .option("--writer <name>", "only this chain, e.g. compose-agent")
    .option("--json", "machine-readable")
    .action((folder: string | undefined, flags: Flags) => verify(folder, flags, io));
  command
    .command("show")
    .description("the commands, oldest first: who, what, on what, what came of it")
    .argument("[folder]", where)
    .option("--writer <name>", "only this chain, e.g. compose-agent")
    .option("--tail <lines>", "only the last ones of each chain", lines)
    .option("--json", "machine-readable: one record a line, as it was written")
    .action((folder: string | undefined, flags: Flags & { tail?: number }) => show(folder, flags, io));
  return command;
}

function verify(folder: string | undefined, flags: Flags, io: CliIo): void {
  const reports = chainsIn(folder, flags, io).map((writer) => {
    using options = auditIn(controlHome(homeOf(folder, io)), writer);
    return verifyAudit(options);
  });
  if (reports.some(({ intact }) => !intact)) io.setExitCode(EXIT.notPassed);
  if (flags.json) return io.out(`${JSON.stringify(reports)}\n`);
  for (const report of reports) io.out(reportText(report));
}

function show(folder: string | undefined, flags: Flags & { readonly tail?: number }, io: CliIo): void {
  for (const writer of chainsIn(folder, flags, io)) {
    using options = auditIn(controlHome(homeOf(folder, io)), writer);
    const kept: AuditRecord[] = [];
    for (const record of readAudit(options)) {
      kept.push(record);
      if (flags.tail !== undefined && kept.length > flags.tail) kept.shift();
    }
    for (const record of kept) io.out(flags.json ? `${JSON.stringify(record)}\n` : plain(recordText(record)));
  }
}

/** @throws HarnessError `not-found` where there is no chain, or none of this name. */
function chainsIn(folder: string | undefined, { writer }: Flags, io: CliIo): readonly string[] {
  const home = homeOf(folder, io);
  const chains = auditWriters(controlHome(home));
  if (writer !== undefined && !chains.includes(writer))
    throw new HarnessError("not-found", `there is no chain of ${writer} in ${home}`);
  if (chains.length === 0) throw new HarnessError("not-found", `there is no audit in ${home}`);
  return writer === undefined ? chains : [writer];
}

/** A run keeps its own in `control/`. */
function homeOf(folder: string | undefined, io: CliIo): string {
  if (folder === undefined) return defaultStateDir(io.env);
  const given = resolve(io.cwd, folder);
  const inRun = join(given, "control");
  return existsSync(join(inRun, "audit")) ? inRun : given;
}

function reportText(report: AuditReport): string {
  const { writer, intact, findings, lines: count, files, intents, outcomes, open, torn, head } = report;
  const known = report.anchors.map(
    ({ place, seq }) => `  anchored   ${place}: ${seq === null ? "nothing" : `line ${seq}`}\n`,
  );
  const ends = Object.entries(outcomes).filter(([, number]) => number > 0);
  return [
    `${writer}: ${intact ? "intact" : "NOT WHAT WAS WRITTEN"}, ${count} lines in ${files} ${files === 1 ? "file" : "files"}, ` +
      `${intents} commands${ends.length === 0 ? "" : ` (${ends.map(([verdict, number]) => `${number} ${verdict}`).join(", ")})`}\n`,
    `  ends at    line ${head.seq}${report.lastAt === null ? "" : `, ${report.lastAt}`}\n`,
    ...known,
    ...(open.length === 0
      ? []
      : [`  open       ${open.length} without an outcome: running now, or closed at the next start\n`]),
    ...(torn === null ? [] : [`  cut short  ${torn}: being written now, or its writer was killed; no tampering\n`]),
    ...findings.map(({ place, text }) => `  found      ${text}\n             at ${place}\n`),
  ].join("");
}

function recordText(record: AuditRecord): string {
  const start = `${record.at}  ${String(record.seq).padStart(6)}  `;
  if (record.kind === "event") return `${start}${record.name}  ${JSON.stringify(record.fields)}\n`;
  const what = `${record.plane.padEnd(13)}  ${record.caller}  ${record.command}${record.target === null ? "" : ` ${record.target}`}`;
  const incident = record.incident === null ? "" : `  incident ${record.incident}`;
  if (record.kind === "intent") return `${start}${what}${incident}\n`;
  const why = record.verdict === "ok" ? "" : `: ${[record.code, record.why].filter(Boolean).join(", ")}`;
  return `${start}${what}  -> ${record.verdict} (line ${record.of})${why}\n`;
}

function lines(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("a whole number.");
  return Number(text);
}
