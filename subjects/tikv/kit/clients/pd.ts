import type { z } from "zod";
import { SubjectError, errorText } from "../../../../harness/base/errors.ts";
import type { Component, Reading } from "../../../../harness/protocol.ts";
import { hostOf } from "./address-book.ts";
import { type ClientDeps, type HttpAnswer, NoAnswer, exchange } from "./http.ts";
import { parseLossless } from "./lossless.ts";
import { type LeaderChoice, chooseLeader } from "./pd-leader.ts";
import * as shapes from "./pd-shapes.ts";

export type { LeaderChoice } from "./pd-leader.ts";
export type { PdHealth, PdMember, PdMembers, PdRegion, PdRegions, PdRegionStats, PdStore } from "./pd-shapes.ts";

export interface PdAnswer extends HttpAnswer {
  /** Who was asked. A follower proxies to the leader, and the answer does not show it. */
  readonly member: Component;
}

export interface EtcdHealth {
  readonly member: Component;
  readonly status: number;
  readonly healthy: boolean;
  /** etcd's words, e.g. `RAFT NO LEADER`; empty when healthy. */
  readonly reason: string;
}

export type RegionCheck =
  | "miss-peer"
  | "extra-peer"
  | "down-peer"
  | "pending-peer"
  | "offline-peer"
  | "learner-peer"
  | "empty-region"
  | "oversized-region"
  | "undersized-region";

/** What one member said in one round; every part may be missing for its own reason. */
export interface MemberAnswers {
  readonly member: Component;
  /** It answered something, whatever it was. */
  readonly answers: boolean;
  readonly leader: Reading<Component | null>;
  readonly stores: Reading<readonly shapes.PdStore[]>;
  readonly etcd: Reading<EtcdHealth>;
}

export interface PdClientOptions {
  /** Base URL of each member's client port, by component. */
  readonly members: Readonly<Record<string, string>>;
  /** Names a member by one of its advertised client URLs. Default: the URL's host. */
  readonly componentOf?: (advertisedUrl: string) => Component;
  /** Per exchange. PD itself waits up to 3 s for a leader, so less than 5 s loses answers. */
  readonly timeoutMs?: number;
}

export interface PdRequestOptions {
  /** Ask only this member. */
  readonly member?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/**
 * PD's HTTP API through all its members.
 *
 * Every method throws the signal's reason when it aborts, `NoAnswer` when no member answered, and `SubjectError` with
 * PD's own words when the answer was not what the method is for.
 */
export interface PdClient {
  readonly members: readonly Component[];
  /**
   * One request, answered by one member: the leader first, when it is known. `path` is absolute on the server
   * (`/pd/api/v1/stores`, `/health`). Any status is an answer and 4xx is final. A read is repeated on the next member
   * after 500, 503 or no answer. A change is repeated only where it certainly was not executed.
   */
  request(
    method: string,
    path: string,
    body: string | undefined,
    signal: AbortSignal,
    options?: PdRequestOptions,
  ): Promise<PdAnswer>;
  stores(signal: AbortSignal): Promise<readonly shapes.PdStore[]>;
  membership(signal: AbortSignal): Promise<shapes.PdMembers>;
  /** The member that most members name; without a majority only if it is named twice in a row. Null: nobody leads. */
  leader(signal: AbortSignal): Promise<LeaderChoice | null>;
  /** PD's own view of which members are alive. Answers 200 also without quorum: not a sign of quorum. */
  health(signal: AbortSignal): Promise<shapes.PdHealth>;
  /** The embedded etcd of one member: the sign of quorum. */
  etcdHealth(member: string, signal: AbortSignal): Promise<EtcdHealth>;
  regionsCheck(kind: RegionCheck, signal: AbortSignal, options?: PdRequestOptions): Promise<shapes.PdRegions>;
  regions(signal: AbortSignal): Promise<shapes.PdRegions>;
  regionStats(signal: AbortSignal): Promise<shapes.PdRegionStats>;
  schedulers(signal: AbortSignal, status?: "paused" | "disabled"): Promise<readonly string[]>;
  config(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>>;
  /** Asks every member the same at once; never throws for what they answer or do not answer. */
  survey(timeoutMs: number, signal: AbortSignal): Promise<readonly MemberAnswers[]>;
}

/** `/stores` -> `/pd/api/v1/stores`; a path that is already absolute on the server stays. */
export function pdPath(path: string): string {
  const absolute = path.startsWith("/") ? path : `/${path}`;
  return absolute.startsWith("/pd/") ? absolute : `/pd/api/v1${absolute}`;
}

const DEFAULT_TIMEOUT_MS = 5_000;
/** A vote is asked of members that may hang; a majority ends it early. */
const VOTE_TIMEOUT_MS = 1_500;
const CONFIRM_AFTER_MS = 300;
/** How long a leader that was found is asked first without asking again who leads. */
const LEADER_FRESH_MS = 2_000;

/** 500s and 503s of the layer before the handler: the request was certainly not executed (tikv-facts §1.1). */
const NOT_EXECUTED = /ErrRedirectNoLeader|ErrRedirectToNotLeader|ErrServerNotStarted/;

export function pdClient(options: PdClientOptions, deps: ClientDeps): PdClient {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const urls = new Map(Object.entries(options.members).map(([name, url]) => [name as Component, url]));
  const members = [...urls.keys()];
  const componentOf = options.componentOf ?? ((url: string) => hostOf(url) as Component);
  let known: { readonly name: Component; readonly atMs: number } | null = null;

  const nameOf = (member: shapes.PdMember | null): Component | null => {
    if (member === null) return null;
    const name = member.name as Component;
    const [url] = member.clientUrls;
    return urls.has(name) || url === undefined ? name : componentOf(url);
  };

  const ask = async (
    member: Component,
    request: { method?: string; path: string; body?: string | undefined; headers?: Readonly<Record<string, string>> },
    ms: number,
    signal: AbortSignal,
  ): Promise<PdAnswer> => {
    const base = urls.get(member);
    if (base === undefined) throw new SubjectError(`no PD member ${member}; there are ${members.join(", ")}`);
    const { method = "GET", path, body } = request;
    const headers = { ...(body === undefined ? {} : { "content-type": "application/json" }), ...request.headers };
    const answer = await exchange(deps, { method, url: `${base}${path}`, body, headers, timeoutMs: ms }, signal);
    return { ...answer, member };
  };

  const askLeader = async (member: Component, ms: number, signal: AbortSignal): Promise<Component | null> =>
    nameOf(read(shapes.leaderSchema, await ask(member, { path: "/pd/api/v1/leader" }, ms, signal)));

  /** One round of votes; ends as soon as a majority agrees. @throws AggregateError when nobody answered at all. */
  const vote = async (signal: AbortSignal): Promise<LeaderChoice | null> => {
    const enough = new AbortController();
    const inner = AbortSignal.any([signal, enough.signal]);
    const votes = new Map<Component, Component | null>(members.map((member) => [member, null]));
    const failures: unknown[] = [];
    await Promise.all(
      members.map(async (member) => {
        try {
          votes.set(member, await askLeader(member, Math.min(timeoutMs, VOTE_TIMEOUT_MS), inner));
          if (chooseLeader(votes)?.byMajority === true) enough.abort();
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof NoAnswer) failures.push(error);
        }
      }),
    );
    if (failures.length === members.length) throw nobody(failures);
    return chooseLeader(votes);
  };

  const leader = async (signal: AbortSignal): Promise<LeaderChoice | null> => {
    const first = await vote(signal);
    if (first === null || first.byMajority) return remember(first);
    await deps.clock.sleep(CONFIRM_AFTER_MS, signal);
    const second = await vote(signal);
    return remember(second !== null && (second.byMajority || second.name === first.name) ? second : null);
  };
  const remember = (choice: LeaderChoice | null): LeaderChoice | null => {
    known = choice === null ? null : { name: choice.name, atMs: deps.clock.monotonic() };
    return choice;
  };

  /** Leader first; the rest in the order given. */
  const order = async (signal: AbortSignal): Promise<readonly Component[]> => {
    if (known === null || deps.clock.monotonic() - known.atMs > LEADER_FRESH_MS)
      try {
        await leader(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof NoAnswer) && !(error instanceof SubjectError)) throw error;
      }
    const first = known?.name;
    return first !== undefined && urls.has(first) ? [first, ...members.filter((m) => m !== first)] : members;
  };

  const request: PdClient["request"] = async (method, path, body, signal, extra = {}) => {
    const isRead = method === "GET" || method === "HEAD";
    const candidates = extra.member === undefined ? await order(signal) : [extra.member as Component];
    const failures: unknown[] = [];
    let refused: PdAnswer | null = null;
    for (const member of candidates) {
      try {
        const headers = extra.headers ?? {};
        const answer = await ask(member, { method, path, body, headers }, extra.timeoutMs ?? timeoutMs, signal);
        const mayRepeat = isRead || NOT_EXECUTED.test(answer.text);
        if ((answer.status !== 500 && answer.status !== 503) || !mayRepeat) return answer;
        refused ??= answer;
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        if (!isRead && error.sent)
          throw new SubjectError(`${method} ${path} on ${member}: no answer; it may have been executed`, {
            cause: error,
          });
        failures.push(error);
      }
      known = null;
    }
    if (refused !== null) return refused;
    throw nobody(failures);
  };

  const get = async <T extends z.ZodType>(
    path: string,
    schema: T,
    signal: AbortSignal,
    extra: PdRequestOptions = {},
  ): Promise<z.output<T>> => read(schema, await request("GET", path, undefined, signal, extra));

  const etcdHealth = async (member: string, ms: number, signal: AbortSignal): Promise<EtcdHealth> => {
    const answer = await ask(member as Component, { path: "/health" }, ms, signal);
    const said = shapes.etcdHealthSchema.safeParse(tryParse(answer.text));
    const healthy = answer.status === 200 && said.success && said.data.health === "true";
    const reason = said.success ? said.data.reason : firstLine(answer.text);
    return { member: answer.member, status: answer.status, healthy, reason };
  };

  const surveyOne = async (member: Component, ms: number, signal: AbortSignal): Promise<MemberAnswers> => {
    let answers = false;
    const reading = async <T>(task: () => Promise<T>): Promise<Reading<T>> => {
      try {
        const value = await task();
        answers = true;
        return { ok: true, value, at: deps.clock.now() };
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof NoAnswer)) answers = true;
        return { ok: false, why: errorText(error), at: deps.clock.now() };
      }
    };
    const [leaderReading, stores, etcd] = await Promise.all([
      reading(() => askLeader(member, ms, signal)),
      reading(async () => read(shapes.storesSchema, await ask(member, { path: "/pd/api/v1/stores" }, ms, signal))),
      reading(() => etcdHealth(member, ms, signal)),
      // Answered by the node itself whatever state the cluster is in, while everything above may hang with the leader.
      reading(() => ask(member, { path: "/livez" }, ms, signal)),
    ]);
    return { member, answers, leader: leaderReading, stores, etcd };
  };

  return {
    members,
    request,
    leader,
    stores: (signal) => get("/pd/api/v1/stores", shapes.storesSchema, signal),
    membership: (signal) => get("/pd/api/v1/members", shapes.membersSchema, signal),
    health: (signal) => get("/pd/api/v1/health", shapes.healthSchema, signal),
    etcdHealth: (member, signal) => etcdHealth(member, timeoutMs, signal),
    regionsCheck: (kind, signal, extra) => get(`/pd/api/v1/regions/check/${kind}`, shapes.regionsSchema, signal, extra),
    regions: (signal) => get("/pd/api/v1/regions", shapes.regionsSchema, signal),
    regionStats: (signal) => get("/pd/api/v1/stats/region", shapes.regionStatsSchema, signal),
    schedulers: (signal, status) =>
      get(`/pd/api/v1/schedulers${status === undefined ? "" : `?status=${status}`}`, shapes.namesSchema, signal),
    config: (signal) => get("/pd/api/v1/config", shapes.configSchema, signal),
    survey: (ms, signal) => Promise.all(members.map((member) => surveyOne(member, ms, signal))),
  };
}

/** @throws SubjectError with PD's words when it is not a 200 of that shape. */
function read<T extends z.ZodType>(schema: T, answer: PdAnswer): z.output<T> {
  if (answer.status !== 200)
    throw new SubjectError(`${answer.member} answers ${answer.status}: ${firstLine(answer.text)}`, {
      details: { status: answer.status },
    });
  const parsed = schema.safeParse(tryParse(answer.text));
  if (!parsed.success)
    throw new SubjectError(`${answer.member} sent something unexpected: ${firstLine(answer.text)}`, {
      cause: parsed.error,
    });
  return parsed.data;
}

/** Bodies can be anything, a Go panic among them. */
function tryParse(text: string): unknown {
  try {
    return parseLossless(text);
  } catch {
    return undefined;
  }
}

function firstLine(text: string): string {
  const line = text.trim().split("\n", 1)[0] ?? "";
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

function nobody(failures: readonly unknown[]): NoAnswer {
  return new NoAnswer("no PD member answers", new AggregateError(failures));
}
