import type { CheckResult, Finding } from "./check-pd.ts";
import type { Difference, DifferenceKind } from "./compare.ts";

const WHAT: Readonly<Record<DifferenceKind, string>> = {
  status: "status code",
  "content-type": "content type",
  text: "words",
  layout: "layout of the JSON",
  "missing-key": "missing",
  "extra-key": "not in the recording",
  type: "type",
};

/** A shell command that asks the same again. */
export function curlOf({ member, path }: Finding): string {
  return `curl -sS -i '${member.url}${path.replaceAll("'", "%27")}'`;
}

/** Each difference as a bug report that can be handed on as it stands; nothing when there is none. */
export function reportText(result: CheckResult): string {
  return result.findings.map((finding, at) => findingText(finding, at + 1, result)).join("\n");
}

function findingText(finding: Finding, number: number, { recordedFrom, version }: CheckResult): string {
  const { member, path, differences } = finding;
  return [
    `${number}. GET ${path} through ${member.name}, a ${member.role} (says it is ${version})`,
    `   expected: as ${recordedFrom} answered`,
    `             (recording ${finding.recordedFrom}${finding.recordedPath === path ? "" : `, there ${finding.recordedPath}`})`,
    ...differences.map((difference) => `   ${differenceText(difference)}`),
    `   reproduce: ${curlOf(finding)}`,
    "",
  ].join("\n");
}

function differenceText({ kind, at, wanted, got }: Difference): string {
  const where = at === "" ? WHAT[kind] : `${WHAT[kind]} ${at}`;
  return `differs: ${where}: expected ${wanted}, got ${got}`;
}

/** One line: how much was compared and how much of it differs. */
export function summaryText({ members, answers, leaves, findings }: CheckResult): string {
  const differences = findings.reduce((sum, finding) => sum + finding.differences.length, 0);
  const share = (part: number, whole: number) => `${((part * 100) / Math.max(1, whole)).toFixed(1)} %`;
  return (
    `${members.length} ${members.length === 1 ? "member" : "members"}, ${answers} answers compared, ` +
    `${findings.length} differ (${share(findings.length, answers)}); of ${leaves} keys and series ` +
    `${differences} (${share(differences, leaves)})`
  );
}
