import { z } from "zod";
import type { Deps } from "../../../harness/protocol.ts";
import { namePdMembers } from "../pd-names.ts";
import { errorText, HarnessError, SubjectError } from "../../../harness/base/errors.ts";
import { compareAnswers, type Difference } from "./compare.ts";
import { compareMetrics } from "./metrics.ts";
import { liveQuestion, questionsOf, recordedLeader, type LiveIds } from "./questions.ts";
import { readMetrics, readRecording, type Answer, type Recording } from "./recording.ts";

export interface Member {
  readonly name: string;
  readonly url: string;
  readonly role: "leader" | "follower";
}

/** One question whose answer is not the recorded one. */
export interface Finding {
  readonly member: Member;
  readonly path: string;
  /** Whose answer was expected: recording and member. */
  readonly recordedFrom: string;
  readonly recordedPath: string;
  readonly differences: readonly Difference[];
}

export interface CheckResult {
  readonly version: string;
  readonly recordedFrom: string;
  readonly members: readonly Member[];
  readonly answers: number;
  readonly leaves: number;
  readonly findings: readonly Finding[];
}

export type CheckDeps = Pick<Deps, "clock" | "fetch">;

const ANSWER_MS = 10_000;
const METRICS_PATH = "/metrics";

const membersSchema = z.object({ members: z.array(z.unknown()), leader: z.object({ name: z.string() }).nullish() });
const storesSchema = z.object({ stores: z.array(z.object({ store: z.object({ id: z.number() }) })) });

/**
 * Asks every member of a healthy PD what a recorded one was asked, changes nothing, and says where the answers differ.
 * `urls` are where the members answer from here; their names are found out.
 *
 * @throws SubjectError when no member answers or there is nothing to compare with: no leader, no store
 */
export async function checkPd(urls: readonly string[], deps: CheckDeps, signal: AbortSignal): Promise<CheckResult> {
  const recording = readRecording("healthy");
  const { members, ids, version } = await meet(urls, deps, signal);
  const findings: Finding[] = [];
  let [answers, leaves] = [0, 0];
  for (const member of members) {
    const from = recordedMember(recording, member);
    for (const { path, wanted } of questionsOf(recording, from)) {
      const asked = liveQuestion(path, ids);
      const compared = compareAnswers(wanted, await ask(member.url, asked, deps, signal));
      answers++;
      leaves += compared.leaves;
      note(findings, member, asked, from, path, compared.differences);
    }
    const metrics = await ask(member.url, METRICS_PATH, deps, signal);
    const compared = compareMetrics(readMetrics(member.role === "leader" ? "leader" : "pd0"), metrics.body);
    answers++;
    leaves += compared.leaves;
    note(findings, member, METRICS_PATH, from, METRICS_PATH, compared.differences);
  }
  return { version, recordedFrom: recording.server, members, answers, leaves, findings };
}

function note(
  findings: Finding[],
  member: Member,
  path: string,
  from: string,
  recordedPath: string,
  differences: readonly Difference[],
): void {
  if (differences.length > 0)
    findings.push({ member, path, recordedFrom: `healthy, ${from}`, recordedPath, differences });
}

/** The recorded leader for a leader, a recorded follower for a follower. */
function recordedMember(recording: Recording, { role }: Member): string {
  const leader = recordedLeader(recording);
  const wanted = Object.keys(recording.answers).find((name) => (name === leader) === (role === "leader"));
  if (wanted === undefined) throw new HarnessError("internal", "the recording has no such member");
  return wanted;
}

async function meet(urls: readonly string[], deps: CheckDeps, signal: AbortSignal) {
  const known = membersSchema.safeParse(parsed(await firstAnswer(urls, "/pd/api/v1/members", deps, signal)));
  if (!known.success)
    throw new SubjectError(`${urls[0]} is not a PD: it answers /pd/api/v1/members with something else`);
  const { leader } = known.data;
  if (leader == null) throw new SubjectError("PD has no leader: there is nothing to compare with a healthy one");
  const named = Object.entries(await namePdMembers(urls, deps, signal));
  const members = named.map(([name, url]): Member => ({
    name,
    url,
    role: name === leader.name ? "leader" : "follower",
  }));
  const stores = storesSchema.safeParse(parsed(await firstAnswer(urls, "/pd/api/v1/stores", deps, signal)));
  const store = stores.data?.stores[0]?.store.id;
  if (store === undefined)
    throw new SubjectError("no store has joined this PD: there is nothing to compare with a healthy one");
  const said = parsed(await firstAnswer(urls, "/pd/api/v1/version", deps, signal));
  const version = z.object({ version: z.string() }).safeParse(said).data?.version ?? "unknown";
  return { members, ids: { store: String(store) } satisfies LiveIds, version };
}

/** @throws SubjectError when none answers with 200; its text says what each said */
async function firstAnswer(
  urls: readonly string[],
  path: string,
  deps: CheckDeps,
  signal: AbortSignal,
): Promise<Answer> {
  const refusals: string[] = [];
  for (const url of urls) {
    try {
      const answer = await ask(url, path, deps, signal);
      if (answer.status === 200) return answer;
      refusals.push(`${url} answers ${path} with ${answer.status} ${answer.body.trim()}`);
    } catch (error) {
      if (signal.aborted || !(error instanceof SubjectError)) throw error;
      refusals.push(error.message);
    }
  }
  throw new SubjectError(`PD cannot be asked: ${refusals.join("; ")}`);
}

/** @throws SubjectError when nothing comes back */
async function ask(url: string, path: string, deps: CheckDeps, signal: AbortSignal): Promise<Answer> {
  const patience = AbortSignal.timeout(ANSWER_MS);
  try {
    const reply = await deps.fetch(`${url}${path}`, {
      redirect: "manual",
      signal: AbortSignal.any([signal, patience]),
    });
    return { status: reply.status, contentType: reply.headers.get("content-type"), body: await reply.text(), ms: 0 };
  } catch (error) {
    signal.throwIfAborted();
    const why = patience.aborted
      ? `no answer within ${ANSWER_MS / 1_000} s`
      : errorText((error as Error).cause ?? error);
    throw new SubjectError(`${url} does not answer ${path}: ${why}`, { cause: error });
  }
}

function parsed({ body }: Answer): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
