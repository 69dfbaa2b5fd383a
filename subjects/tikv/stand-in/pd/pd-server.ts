import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText, HarnessError } from "../../../../harness/base/errors.ts";
import type { Random } from "../../../../harness/base/random.ts";
import { parseAddress } from "../../../common/link/dial.ts";
import type { LinkRules } from "../../../common/link/link-rules.ts";
import { MetricRegistry } from "../../../common/metrics/registry.ts";
import { listenOnePort } from "../../../common/one-port/one-port-server.ts";
import { logOfNode, type NodeLog } from "../node-log.ts";
import { Cluster } from "./cluster.ts";
import { readConfigFile, type FileConfig } from "./config-file.ts";
import { Consensus } from "./consensus.ts";
import type { PdFlags } from "./flags.ts";
import { pdGrpcServer } from "./grpc/pd-grpc-server.ts";
import { pdListener } from "./http/listener.ts";
import { Leadership } from "./leadership.ts";
import { giveUpOldKey, introduce, learnMember, onNews, probePeers } from "./member-news.ts";
import { addPdMetrics } from "./metrics.ts";
import { observedMetrics } from "./metrics-observed.ts";
import { QuorumReads } from "./quorum-reads.ts";
import { RegionFile } from "./region-file.ts";
import { Coordinator } from "./schedule/coordinator.ts";
import { scheduleMetrics } from "./schedule/schedule-metrics.ts";
import { initialState, type MemberMeta } from "./state.ts";

export interface PdDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: NodeLog;
  readonly rules: LinkRules;
  readonly timeFactor: number;
  /** The disk failed, or this member can do no more. */
  onFatal(error: unknown): void;
}

export interface PdServer extends AsyncDisposable {
  /** Hands leadership over when it has it, then closes: what SIGTERM asks for. */
  leave(): Promise<void>;
}

/** A leaving leader waits this long for its heir. */
const HANDOVER_MS = 1_000;
const START_TIMEOUT_MS = 300_000;
/** `leader-priority-check-interval` */
const PRIORITY_CHECK_MS = 60_000;
/** Real time at every factor: timestamps are the clock's. */
const TIMESTAMPS_EVERY_MS = 250;
const CLUSTER_TOKEN = "pd-cluster";

/** One PD member with all its ports. Disposing closes them. @throws HarnessError `port-taken`; ConfigError; StoreError */
export async function startPd(flags: PdFlags, deps: PdDeps): Promise<PdServer> {
  await using scope = new AsyncDisposableStack();
  const { clock, log, timeFactor, rules } = deps;
  const startedAt = clock.now();
  const fileConfig = readConfigFile(flags.configFile);
  const members = membersOf(flags);
  const self = members.find(({ name }) => name === flags.name) ?? members[0];
  if (self === undefined) throw new Error("initial-cluster names nobody");
  const registry = new MetricRegistry();
  const observed = observedMetrics(registry);
  const hooks = {
    coordinator: null as Coordinator | null,
    consensus: null as Consensus | null,
    cluster: null as Cluster | null,
    reads: null as QuorumReads | null,
  };
  const leadership = new Leadership({
    self,
    clock,
    random: deps.random,
    timeFactor,
    log,
    newClusterId: () => newClusterId(clock.now()),
    onBegin: async () => {
      await hooks.cluster?.begin();
      if (hooks.cluster?.bootstrapped === false) await configure(hooks.cluster, fileConfig);
      hooks.coordinator?.begin();
    },
    onEnd: () => {
      hooks.coordinator?.end();
      hooks.cluster?.end();
    },
  });
  const { onFatal } = deps;
  const { regions } = scope.use(
    await RegionFile.open({ folder: join(flags.dataDir, "region-meta"), clock, log, onFatal }),
  );
  let tsoUpTo = 0;
  const consensus = await Consensus.open({
    self,
    // The same on every member: their URLs come later, from themselves.
    initial: initialState(members.map((member) => ({ ...member, clientUrls: [] }))),
    folder: join(flags.dataDir, "member"),
    cluster: CLUSTER_TOKEN,
    rules,
    clock,
    random: deps.random,
    timeFactor,
    log,
    onRole: (role) => {
      leadership.onRole(role);
      hooks.reads?.onRole(role);
      introduce(hooks.consensus, self);
      giveUpOldKey(hooks.consensus, leadership);
    },
    onApplied: (state) => {
      learnMember(hooks.consensus, state, self);
      if (leadership.serving && state.tsoUpTo > tsoUpTo) observed.tsoEvent("save");
      tsoUpTo = state.tsoUpTo;
    },
    onWritten: (ms) => {
      observed.fsync.observe({}, ms / 1_000);
      observed.commit.observe({}, ms / 1_000);
    },
    onFailed: (count) => observed.proposalsFailed(count),
    onNews: (from, news) => onNews({ ...hooks, leadership, clock, observed }, from, news),
    onPeerUp: (name) => {
      introduce(hooks.consensus, self);
      if (leadership.serving)
        hooks.consensus?.tell(name, { kind: "regions", regions: hooks.cluster?.regions.all() ?? [], whole: true });
    },
    onFatal,
  });
  scope.use(consensus);
  hooks.consensus = consensus;
  leadership.attach(consensus);
  const probing = new AbortController();
  scope.defer(() => probing.abort());
  const reads = new QuorumReads({ consensus, clock, timeFactor });
  hooks.reads = reads;
  scope.use(leadership);
  const scheduling = scheduleMetrics(registry);
  const cluster = new Cluster({
    consensus,
    regions,
    clock,
    timeFactor,
    log,
    metrics: scheduling,
    onChange: () => hooks.coordinator?.soon(),
    onForgotten: () => hooks.coordinator?.forgetPrepared(),
  });
  const coordinator = new Coordinator({
    cluster,
    clock,
    random: deps.random.fork("schedule"),
    log,
    metrics: scheduling,
    timeFactor,
    initialRegions: flags.initialRegions,
    onRegions: (regions) => consensus.tellAll({ kind: "regions", regions, whole: false }),
  });
  Object.assign(hooks, { cluster, coordinator });
  addPdMetrics(registry, { cluster, consensus, leadership, coordinator }, startedAt);
  const parts = {
    flags,
    self,
    startedAtMs: startedAt,
    cluster,
    consensus,
    leadership,
    coordinator,
    reads,
    random: deps.random.fork("http"),
    rules,
    metrics: registry,
    observed,
    log,
  };
  const muted = logOfNode(log, "server.go:1");
  scope.use(
    await listenOnePort({
      ...parseAddress(flags.clientUrl),
      rules,
      log: muted,
      http: pdListener(parts, clock),
      grpc: pdGrpcServer({ cluster, leadership, coordinator, observed, clock, log }),
    }),
  );
  scope.use(
    await listenOnePort({
      ...parseAddress(flags.peerUrl),
      rules,
      log: muted,
      peer: (hello, frames) => consensus.receive(hello, frames),
    }),
  );
  void probePeers(consensus, clock, probing.signal);
  void giveUpAlone(leadership, deps, probing.signal);
  void followPriority(leadership, consensus, deps, probing.signal);
  void moveTimestamps(cluster, leadership, clock, probing.signal);
  const open = scope.move();
  const close = () => open.disposeAsync();
  return {
    leave: async () => {
      const patience = new AbortController();
      const handed = handOver(leadership, consensus, clock, patience.signal).catch((error: unknown) => {
        log.warn("server.go:540", "cannot hand over leadership", { error: errorText(error) });
      });
      // The others may be leaving too: then nothing is decided any more.
      await Promise.race([handed, clock.sleep(HANDOVER_MS)]);
      patience.abort();
      await close();
    },
    [Symbol.asyncDispose]: close,
  };
}

async function configure(cluster: Cluster, config: FileConfig): Promise<void> {
  for (const section of ["schedule", "replication"] as const)
    if (Object.keys(config[section]).length > 0)
      await cluster.decide({ kind: "config", section, values: config[section] });
}

async function handOver(
  leadership: Leadership,
  consensus: Consensus,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const heir = leadership.heir();
  if (!leadership.serving || heir === null) return;
  await leadership.handOver(heir);
  while (consensus.role.role === "leader" && !signal.aborted) await clock.sleep(10);
}

/** In order of name, so that all members count alike. */
function membersOf(flags: PdFlags): MemberMeta[] {
  return [...flags.peers]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, peerUrl }, at) => ({
      name,
      id: memberId(peerUrl),
      raftId: at + 1,
      peerUrls: [peerUrl],
      clientUrls: name === flags.name ? [flags.advertiseClientUrl] : [],
      leaderPriority: 0,
    }));
}

/** As etcd makes them: from the peer URLs and the cluster's token. */
function memberId(peerUrl: string): string {
  return createHash("sha1").update(`${peerUrl}${CLUSTER_TOKEN}`).digest().readBigUInt64BE(0).toString();
}

/** As PD makes them: seconds in the upper half, chance in the lower. */
function newClusterId(nowMs: number): string {
  return ((BigInt(Math.floor(nowMs / 1_000)) << 32n) | BigInt(randomBytes(4).readUInt32BE(0))).toString();
}

/** Nobody but who asks for timestamps is told that their bound could not be saved. */
async function moveTimestamps(
  { tso }: Cluster,
  leadership: Leadership,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(TIMESTAMPS_EVERY_MS, signal).catch(() => {});
    if (leadership.serving && !signal.aborted) await tso.moveOn().catch(() => {});
  }
}

/** Whoever has a higher priority is to lead (tikv/pd:pkg/member/member.go, `CheckPriority`). */
async function followPriority(
  leadership: Leadership,
  consensus: Consensus,
  { clock, timeFactor, log }: PdDeps,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(PRIORITY_CHECK_MS * timeFactor, signal).catch(() => {});
    const own = consensus.state.members.find(({ name }) => name === consensus.self)?.leaderPriority ?? 0;
    const heir = leadership.serving && !signal.aborted ? leadership.heir() : null;
    if (heir === null || heir.leaderPriority <= own) continue;
    await leadership.handOver(heir).catch((error: unknown) => {
      log.warn("member.go:252", "failed to transfer etcd leader", { to: heir.name, error: errorText(error) });
    });
  }
}

/** PD waits for the others so long, then ends (tikv/pd:server/server.go, `EtcdStartTimeout`). */
async function giveUpAlone(leadership: Leadership, deps: PdDeps, signal: AbortSignal): Promise<void> {
  const met = new AbortController();
  leadership.joined.then(
    () => met.abort(),
    () => {},
  );
  await deps.clock.sleep(START_TIMEOUT_MS * deps.timeFactor, AbortSignal.any([signal, met.signal])).catch(() => {});
  if (!signal.aborted && !met.signal.aborted)
    deps.onFatal(new HarnessError("timeout", "[PD:server:ErrCancelStartEtcd]etcd start canceled"));
}
