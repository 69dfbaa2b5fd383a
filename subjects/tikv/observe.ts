import { withDeadline } from "../../harness/base/deadline.ts";
import { errorText } from "../../harness/base/errors.ts";
import type { Component, ComponentInfo, Deps, Endpoints, Engine, Reading, Workload } from "../../harness/protocol.ts";
import { addressBook, hostOf, urlsOf } from "./kit/clients/address-book.ts";
import { NoAnswer } from "./kit/clients/http.ts";
import { type MemberAnswers, type PdClient, pdClient } from "./kit/clients/pd.ts";
import { prometheusClient } from "./kit/clients/prometheus.ts";
import { type StatusClient, statusClient } from "./kit/clients/status.ts";
import { readMetrics } from "./metrics-view.ts";
import type {
  PdMemberView,
  PdView,
  ProbeView,
  RegionCounts,
  StoreView,
  TikvObservation,
  TikvSources,
} from "./observation.ts";
import { LeaderWatch, storesAsSeenBy } from "./pd-view.ts";
import { refreshed } from "./refreshed.ts";

export type ObserverDeps = Pick<Deps, "clock" | "fetch">;

/** Where to look. A source that is left out has no key in the observations. */
export interface ObserverOptions {
  /** Base URL of each PD member's client port, by component. */
  readonly pdMembers?: Readonly<Record<string, string>>;
  /** Base URL of each store's status port, by component. */
  readonly storeStatus?: Readonly<Record<string, string>>;
  /** Names what the cluster advertises. Default: the address' host. */
  readonly componentOf?: (advertised: string) => Component;
  readonly engine?: Pick<Engine, "list">;
  readonly prometheusUrl?: string | null;
  /** Asked at every observation: the workload starts after the subject. Null = none runs, no key. */
  readonly workload?: () => Pick<Workload, "window"> | null;
  /** On the subject's own timers. Default 1. */
  readonly timeFactor?: number;
  /** What a node must answer within. A frozen one accepts connections and never answers. Default 700. */
  readonly probeTimeoutMs?: number;
}

/** Options for a whole instance: PD and stores are those whose role says so. */
export function observerOptions(
  endpoints: Endpoints,
  components: readonly ComponentInfo[],
): Required<Pick<ObserverOptions, "pdMembers" | "storeStatus" | "componentOf" | "prometheusUrl">> {
  return {
    pdMembers: urlsOf(endpoints, components, "pd", "client"),
    storeStatus: urlsOf(endpoints, components, "tikv", "status"),
    componentOf: addressBook(endpoints).componentOf,
    prometheusUrl: endpoints.prometheusUrl,
  };
}

const PROBE_TIMEOUT_MS = 700;
const SLOW_FIRST_WAIT_MS = 1_200;
const SLOW_TIMEOUT_MS = 5_000;
const REGIONS_EVERY_MS = 2_000;
const METRICS_EVERY_MS = 2_000;
const ENGINE_EVERY_MS = 1_000;
const CLIENT_TIMEOUT_MS = 1_000;
/** Times the time factor, but no shorter than a client's own deadline: until then an operation has no outcome. */
const CLIENT_WINDOW_MS = 5_000;
const MIN_CLIENT_WINDOW_MS = 2_000;
/** PD's leader lease in 8.5.0 (tikv-facts §2): no leader can be replaced sooner. */
const LEADER_LEASE_MS = 3_000;

/**
 * Makes the function that takes one snapshot of a TiKV cluster: everything at once, each source with its own deadline,
 * 1.2 s in all at the very most. It never throws for a broken cluster, only the signal's reason.
 */
export function tikvObserver(
  options: ObserverOptions,
  deps: ObserverDeps,
): (signal: AbortSignal) => Promise<TikvObservation> {
  const { clock } = deps;
  const sources: ((signal: AbortSignal) => Promise<Partial<TikvSources>>)[] = [];
  if (options.pdMembers !== undefined && Object.keys(options.pdMembers).length > 0)
    sources.push(pdSource(options, options.pdMembers, deps));
  if (options.storeStatus !== undefined && Object.keys(options.storeStatus).length > 0)
    sources.push(probeSource(options, options.storeStatus, deps));
  if (options.engine !== undefined) {
    const { engine } = options;
    const list = refreshed({ clock, everyMs: ENGINE_EVERY_MS, firstWaitMs: SLOW_FIRST_WAIT_MS }, (signal) =>
      withDeadline(clock, { ms: SLOW_TIMEOUT_MS, what: "engine", signal }, (inner) => engine.list(inner)),
    );
    sources.push(async (signal) => ({ engine: await list(signal) }));
  }
  if (options.prometheusUrl !== undefined && options.prometheusUrl !== null) {
    const prometheus = prometheusClient({ url: options.prometheusUrl, timeoutMs: SLOW_TIMEOUT_MS }, deps);
    const view = { componentOf: nameFrom(options), timeFactor: options.timeFactor ?? 1 };
    const metrics = refreshed({ clock, everyMs: METRICS_EVERY_MS, firstWaitMs: SLOW_FIRST_WAIT_MS }, (signal) =>
      readMetrics(prometheus, view, signal),
    );
    sources.push(async (signal) => ({ prometheus: await metrics(signal) }));
  }
  const { workload } = options;
  if (workload !== undefined) {
    const windowMs = Math.max(MIN_CLIENT_WINDOW_MS, CLIENT_WINDOW_MS * (options.timeFactor ?? 1));
    sources.push((signal) => clientSource(workload(), windowMs, deps, signal));
  }

  return async (signal) => {
    signal.throwIfAborted();
    const at = clock.now();
    const monotonicMs = clock.monotonic();
    const parts = await Promise.all(sources.map((source) => source(signal)));
    signal.throwIfAborted();
    return { at, monotonicMs, sources: Object.assign({}, ...parts) as TikvSources };
  };
}

const nameFrom = (options: ObserverOptions): ((advertised: string) => Component) =>
  options.componentOf ?? ((advertised) => hostOf(advertised) as Component);

function pdSource(options: ObserverOptions, members: Readonly<Record<string, string>>, deps: ObserverDeps) {
  const { clock } = deps;
  const componentOf = nameFrom(options);
  const timeFactor = options.timeFactor ?? 1;
  const pd = pdClient({ members, componentOf }, deps);
  const watch = new LeaderWatch(clock, LEADER_LEASE_MS * timeFactor);
  const regions = refreshed(
    { clock, everyMs: REGIONS_EVERY_MS * timeFactor, firstWaitMs: SLOW_FIRST_WAIT_MS },
    (signal) => countRegions(pd, signal),
  );
  const missing = (why: string): Reading<never> => ({ ok: false, why, at: clock.now() });

  return async (signal: AbortSignal): Promise<Partial<TikvSources>> => {
    const survey = await pd.survey(options.probeTimeoutMs ?? PROBE_TIMEOUT_MS, signal);
    const pdMembers: Reading<Readonly<Record<string, PdMemberView>>> = {
      ok: true,
      value: Object.fromEntries(survey.map((one) => [one.member, memberView(one)])),
      at: clock.now(),
    };
    const leader = watch.next(survey);
    if (!survey.some((one) => one.answers)) return { pdMembers, pd: missing("no PD member answers") };
    const view: PdView = {
      leader,
      stores:
        leader === null ? missing("PD has no leader") : namedStores(storesAsSeenBy(leader.name, survey), componentOf),
      regions: leader === null ? missing("PD has no leader") : await regions(signal),
    };
    return { pdMembers, pd: { ok: true, value: view, at: clock.now() } };
  };
}

function memberView(one: MemberAnswers): PdMemberView {
  return { answers: one.answers, why: one.answers || one.etcd.ok ? null : one.etcd.why, etcd: one.etcd };
}

function namedStores(
  stores: ReturnType<typeof storesAsSeenBy>,
  componentOf: (advertised: string) => Component,
): Reading<readonly StoreView[]> {
  if (!stores.ok) return stores;
  const value = stores.value.map((store) => ({
    component: componentOf(store.address),
    id: store.id,
    stateName: store.stateName,
    leaderCount: store.leaderCount,
    regionCount: store.regionCount,
    startedAtMs: store.startedAtMs,
  }));
  return { ok: true, value, at: stores.at };
}

async function countRegions(pd: PdClient, signal: AbortSignal): Promise<RegionCounts> {
  const count = async (kind: Parameters<PdClient["regionsCheck"]>[0]) =>
    (await pd.regionsCheck(kind, signal, { timeoutMs: SLOW_TIMEOUT_MS })).count;
  const [missPeer, downPeer, pendingPeer, offlinePeer] = await Promise.all([
    count("miss-peer"),
    count("down-peer"),
    count("pending-peer"),
    count("offline-peer"),
  ]);
  return { missPeer, downPeer, pendingPeer, offlinePeer };
}

function probeSource(options: ObserverOptions, stores: Readonly<Record<string, string>>, deps: ObserverDeps) {
  const status = statusClient({ stores }, deps);
  const timeoutMs = options.probeTimeoutMs ?? PROBE_TIMEOUT_MS;
  return async (signal: AbortSignal): Promise<Partial<TikvSources>> => {
    const views = await Promise.all(
      status.stores.map(async (store) => [store, await probeOne(status, store, timeoutMs, signal)] as const),
    );
    return { probes: { ok: true, value: Object.fromEntries(views), at: deps.clock.now() } };
  };
}

async function probeOne(
  status: StatusClient,
  store: Component,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeView> {
  try {
    await status.probe(store, timeoutMs, signal);
    return { answers: true, why: null };
  } catch (error) {
    if (error instanceof NoAnswer) return { answers: false, why: error.message };
    throw error;
  }
}

async function clientSource(
  workload: Pick<Workload, "window"> | null,
  windowMs: number,
  { clock }: ObserverDeps,
  signal: AbortSignal,
): Promise<Partial<TikvSources>> {
  if (workload === null) return {};
  try {
    const value = await withDeadline(clock, { ms: CLIENT_TIMEOUT_MS, what: "workload", signal }, (inner) =>
      workload.window(windowMs, inner),
    );
    return { client: { ok: true, value, at: clock.now() } };
  } catch (error) {
    signal.throwIfAborted();
    return { client: { ok: false, why: errorText(error), at: clock.now() } };
  }
}
