import type { TrialRecord } from "../store/record.ts";

/** Shown with every result of an operator that follows a script. */
export const SCRIPTED_NOTICE = "scripted operator: shows the lab, says nothing about AI";

/** The end of a run for people: one fact a line, the verdict alone on its line. */
export function story(record: TrialRecord, where: { readonly folder: string; readonly next: string | null }): string {
  if (record.status === "void") return voidStory(record, where.folder);
  const lines = [
    `${record.subject.title}, time factor ${record.timeFactor}`,
    ...brokenLines(record),
    ...clientLines(record),
    ...ticketLines(record),
    ...operatorLines(record),
    ...recoveryLines(record),
    integrityLine(record),
    ...controlLines(record),
    `blinding: ${record.blinding.level} (${record.blinding.why})`,
    ...record.notes.map((note) => `note: ${note}`),
    ...verdictLines(record),
    `record: ${where.folder}`,
    ...(where.next === null ? [] : [`next: ${where.next}`]),
  ];
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}

/** Which plane did what, and whether that is still what was written. In legacy mode nothing went through it. */
function controlLines({ control }: TrialRecord): string[] {
  if (control === null || control.mode === "legacy") return [];
  const { commands, outcomes, audit } = control;
  const planes = ["compose_agent", "status_panel"].map((plane) => `${count(commands[plane] ?? 0)} by ${plane}`);
  const ends = Object.entries(outcomes).filter(([, number]) => number > 0);
  const came = ends.length === 0 ? "" : `: ${ends.map(([word, number]) => `${count(number)} ${word}`).join(", ")}`;
  const state = audit === null ? "none" : audit.intact ? "intact" : "NOT WHAT WAS WRITTEN";
  return [
    `control plane: commands ${planes.join(", ")}${came}`,
    `audit: ${state}${audit === null ? "" : `, ${count(audit.lines)} lines verified`}`,
  ];
}

/** The lab failed, so nothing is said about the operator. */
function voidStory({ voidReason, notes }: TrialRecord, folder: string): string {
  const told = notes.map((note) => `note: ${note}\n`).join("");
  return `${told}VOID: ${voidReason?.message ?? "the lab failed"}\nrecord: ${folder}\n`;
}

function brokenLines({ injections, seed, scenario }: TrialRecord): string[] {
  if (scenario.control) return [`control: nothing was broken (seed ${seed})`];
  return injections.map(({ target, atMs, label }) => `broke ${target} at ${seconds(atMs)} (${label}, seed ${seed})`);
}

function clientLines({ clients }: TrialRecord): string[] {
  if (clients === null) return [];
  const { operations, ok, failed, unknown, belowTargetMs } = clients;
  return [
    `clients: ${count(operations)} operations: ${count(ok)} ok, ${count(failed)} failed, ${count(unknown)} unknown; ${seconds(belowTargetMs)} below target`,
  ];
}

function ticketLines({ tickets, marks }: TrialRecord): string[] {
  const first = tickets.toSorted((a, b) => a.openedMs - b.openedMs)[0];
  if (first === undefined) return ["no ticket"];
  const more = tickets.length > 1 ? ` and ${tickets.length - 1} more` : "";
  return [`ticket #${first.id} at ${seconds(marks.ticketMs ?? first.openedMs)}${more}: ${first.message}`];
}

function operatorLines({ operator, session, grade, actions, waitedForPeopleMs }: TrialRecord): string[] {
  if (session === null) return [];
  const who = operator.scripted
    ? "operator (scripted: shows the lab, says nothing about AI)"
    : `operator ${operator.name}`;
  const said =
    session.diagnosis === null
      ? `no diagnosis, ended "${session.ending}" (${session.reason})`
      : `"${[session.diagnosis.cause, ...session.diagnosis.components].join(" ")}", ${rightness(grade)}`;
  const writes = actions.filter((action) => action.effect !== "read");
  const cost =
    session.usage.turns > 0 ? [`cost: USD ${session.usage.usd.toFixed(4)}, ${session.usage.turns} turns`] : [];
  return [
    `${who}: ${said}`,
    ...(writes.length === 0
      ? ["changed nothing"]
      : writes.map(({ atMs, tool, target, ok }) =>
          `acted at ${seconds(atMs)}: ${verb(tool)} ${target ?? ""}${ok ? "" : " (refused)"}`.trimEnd(),
        )),
    ...(waitedForPeopleMs === 0
      ? []
      : [`people were waited for: ${seconds(waitedForPeopleMs)}, not the operator's time`]),
    ...cost,
  ];
}

function rightness(grade: TrialRecord["grade"]): string {
  if (grade === null || grade.diagnosed.right === null) return "not judged";
  if (grade.diagnosed.right) return "right";
  return grade.diagnosed.causeRight === true ? "right cause, wrong place" : "wrong";
}

/** `container_start` -> `start`, `network_connect` -> `connect`. */
function verb(tool: string): string {
  return tool.replace(/^(container|network)_/, "");
}

function recoveryLines({ scenario, marks, grade, injections }: TrialRecord): string[] {
  if (scenario.control) return [];
  const left = injections.filter((injection) => injection.healedByLab === true).map(({ target }) => target);
  return [
    marks.stableMs === null ? `not stable by ${seconds(marks.horizonMs ?? 0)}` : `stable at ${seconds(marks.stableMs)}`,
    ...(left.length === 0 ? [] : [`healed by the lab at the end: ${left.join(", ")}`]),
    grade === null ? "" : `${grade.creditWhy} -> credit: ${creditText(grade.credit)}`,
  ];
}

function creditText(credit: "operator" | "none" | "not-shown"): string {
  return credit === "not-shown" ? "operator's doing: not shown" : credit;
}

function integrityLine({ integrity }: TrialRecord): string {
  if (integrity === null) return "acknowledged writes: not checked";
  if (integrity.lost === null)
    return `acknowledged writes lost: not known (${count(integrity.acknowledged)} acknowledged)`;
  return `acknowledged writes lost: ${count(integrity.lost)} of ${count(integrity.acknowledged)}`;
}

function verdictLines({ grade }: TrialRecord): string[] {
  if (grade === null) return ["not graded"];
  return [...grade.reasons, grade.verdict.toUpperCase()];
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const count = (value: number): string => value.toLocaleString("en-US");
