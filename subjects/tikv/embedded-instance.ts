import { createHash } from "node:crypto";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { isoTime } from "../../harness/base/clock.ts";
import { errorText } from "../../harness/base/errors.ts";
import { readInstance, writeInstance, type InstanceRecord } from "../../harness/engine/instances.ts";
import type { ProcessOwnerEngine } from "../../harness/engine/process/client.ts";
import { SUPERVISOR_LOG } from "../../harness/engine/process/paths.ts";
import type {
  Attestation,
  Component,
  Deps,
  Endpoints,
  InstanceId,
  LogLine,
  SubjectInstance,
  Workload,
  WorkloadOptions,
} from "../../harness/protocol.ts";
import {
  clientAddress,
  embeddedComponents,
  embeddedEndpoints,
  embeddedNodes,
  nodeFolder,
  scrapeIntervalMs,
  type EmbeddedLayout,
} from "./embedded.ts";
import { endedWith } from "./ended-with.ts";
import { tikvInvariants } from "./invariants/index.ts";
import { addressBook, urlsOf } from "./kit/clients/address-book.ts";
import { pdClient } from "./kit/clients/pd.ts";
import type { TikvObservation } from "./observation.ts";
import { observerOptions, tikvObserver } from "./observe.ts";
import { candidatesFor, leadersByStore, waitSteady, type ReadinessSources } from "./readiness.ts";
import { standInDigest } from "./source-digest.ts";
import { connectWorkload } from "./workload/connect.ts";
import { workloadEnvironment } from "./workload/settings.ts";

export interface EmbeddedParts {
  readonly layout: EmbeddedLayout;
  readonly record: InstanceRecord;
  readonly engine: ProcessOwnerEngine;
  readonly deps: Deps;
}

const WORKLOAD = "client" as Component;
const WORKLOAD_PROGRAM = path.join(import.meta.dirname, "workload/main.ts");

/** A cluster of stand-ins under one supervisor. Disposing tears it down unless it has been detached. */
export class EmbeddedInstance implements SubjectInstance<TikvObservation> {
  readonly id: InstanceId;
  readonly subject = "tikv";
  readonly owned = true;
  readonly title = "TiKV stand-in";
  readonly standIn = true;
  readonly timeFactor: number;
  readonly build: string;
  readonly engine: ProcessOwnerEngine;
  readonly components = embeddedComponents;
  readonly invariants;
  /** As Prometheus is configured, for the operator's briefing. */
  readonly scrapeIntervalMs: number;
  readonly observe: SubjectInstance<TikvObservation>["observe"];
  readonly #parts: EmbeddedParts;
  readonly #readiness: ReadinessSources;
  #detached: boolean;
  #workload: Workload | null = null;

  constructor(parts: EmbeddedParts) {
    const { layout, record, engine, deps } = parts;
    this.#parts = parts;
    this.#detached = record.detached;
    this.id = record.id as InstanceId;
    this.timeFactor = layout.timeFactor;
    this.build = `stand-in ${standInDigest()}`;
    this.engine = engine;
    this.invariants = tikvInvariants(layout.timeFactor);
    this.scrapeIntervalMs = scrapeIntervalMs(layout.timeFactor);
    const endpoints = this.endpoints("host");
    const { componentOf } = addressBook(endpoints);
    const members = urlsOf(endpoints, embeddedComponents, "pd", "client");
    this.#readiness = { pd: pdClient({ members, componentOf }, deps), componentOf, clock: deps.clock };
    this.observe = tikvObserver(
      {
        ...observerOptions(endpoints, embeddedComponents),
        engine,
        workload: () => this.#workload,
        timeFactor: layout.timeFactor,
      },
      deps,
    );
  }

  endpoints(view: Endpoints["view"]): Endpoints {
    return embeddedEndpoints(this.#parts.layout, view);
  }

  /** The engine's socket is the operator's: it knows the cluster's components and nothing else. */
  operatorEnvironment(view: Endpoints["view"]): Readonly<Record<string, string>> {
    const endpoints = this.endpoints(view);
    return {
      ENGINE: `unix:${this.#parts.record.sockets?.engine ?? ""}`,
      ENDPOINTS: JSON.stringify(endpoints),
      PD_URLS: this.#pdUrls(endpoints).join(","),
      PROMETHEUS_URL: endpoints.prometheusUrl ?? "",
      SCRAPE_INTERVAL_MS: String(this.scrapeIntervalMs),
    };
  }

  async waitReady(options: { readonly timeoutMs: number }, signal: AbortSignal): Promise<void> {
    await waitSteady(this.#readiness, { ...options, everyStoreLeads: true }, signal);
    await this.#startMetrics(signal);
  }

  /** The first time only: who stopped it later meant it. */
  async #startMetrics(signal: AbortSignal): Promise<void> {
    const metrics = "prometheus" as Component;
    if ((await this.engine.inspect(metrics, signal)).status === "created") await this.engine.start(metrics, signal);
  }

  candidates(predicate: string, signal: AbortSignal): Promise<readonly Component[]> {
    return candidatesFor(predicate, this.#readiness, signal);
  }

  leaders(signal: AbortSignal): Promise<ReadonlyMap<Component, number>> {
    return leadersByStore(this.#readiness, signal);
  }

  /** A process of ours beside the cluster; one at a time. */
  async startWorkload(options: WorkloadOptions, signal: AbortSignal): Promise<Workload> {
    const { engine, deps, layout } = this.#parts;
    const endpoints = this.endpoints("host");
    const listen = clientAddress(layout);
    const token = deps.ids.hex(16);
    const pdEndpoints = this.#pdUrls(endpoints);
    const settings = { ...options, listen, pdEndpoints, advertised: endpoints.advertised, controlToken: token };
    await engine.addSupport(
      {
        component: WORKLOAD,
        role: "workload",
        image: "client:1",
        argv: [WORKLOAD_PROGRAM],
        env: workloadEnvironment(settings),
        cwd: nodeFolder(layout.stateDir, WORKLOAD),
        restartPolicy: { name: "no", max: 0 },
        stopGraceMs: 1_000,
        ports: layout.ports[WORKLOAD] ?? {},
      },
      signal,
    );
    try {
      const connected = await connectWorkload({ url: `http://${listen}`, token }, deps, signal);
      this.#workload = endedWith(connected, () => this.#endWorkload());
      return this.#workload;
    } catch (error) {
      await this.#endWorkload();
      throw error;
    }
  }

  #pdUrls(endpoints: Endpoints): string[] {
    return Object.values(urlsOf(endpoints, embeddedComponents, "pd", "client"));
  }

  async #endWorkload(): Promise<void> {
    this.#workload = null;
    await this.#parts.engine.removeSupport(WORKLOAD, new AbortController().signal);
  }

  /**
   * What it was made from: sources, flags, membership, and that every data folder was empty before its node started.
   * Ports and folders differ from one instance to the next and are left out.
   */
  attest(): Promise<Attestation> {
    const { layout, record } = this.#parts;
    const neutral: EmbeddedLayout = { ...layout, stateDir: "/", ports: samePorts(layout) };
    const parts = {
      build: this.build,
      configuration: digest(embeddedNodes(neutral)),
      members: digest(embeddedComponents),
      data: String(record.subjectData["data"] ?? "unknown"),
    };
    return Promise.resolve({ digest: digest(parts), parts });
  }

  /** One file per component, as it was printed, each line with its time of arrival; ours too. */
  async collectLogs(folder: string, signal: AbortSignal): Promise<void> {
    const { engine, layout, deps } = this.#parts;
    await mkdir(folder, { recursive: true });
    const states = [...(await engine.list(signal)), ...(await engine.listSupport(signal))];
    for (const { component } of states) {
      const lines = await engine.logs(component, {}, signal);
      await writeFile(path.join(folder, `${component}.log`), lines.map(logText).join(""));
    }
    await copyFile(path.join(layout.stateDir, SUPERVISOR_LOG), path.join(folder, SUPERVISOR_LOG)).catch(
      (error: unknown) => deps.log.warn("supervisor-log-not-collected", { error: errorText(error) }),
    );
  }

  /** From now on it outlives this process. */
  async detach(signal: AbortSignal): Promise<void> {
    const { stateDir } = this.#parts.layout;
    // The record first: an instance that nobody holds and that is not recorded as detached would be swept.
    writeInstance(stateDir, { ...(readInstance(stateDir) ?? this.#parts.record), detached: true });
    await this.engine.detach(signal);
    this.#detached = true;
  }

  /** Ends every process of it; resolves when they are gone. The state folder stays: it is its owner's. Idempotent. */
  async tearDown(): Promise<void> {
    await this.engine.tearDown();
    await this.engine[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#detached) await this.engine[Symbol.asyncDispose]();
    else await this.tearDown();
  }
}

function samePorts({ ports }: EmbeddedLayout): EmbeddedLayout["ports"] {
  return Object.fromEntries(
    Object.entries(ports).map(([component, services]) => [
      component,
      Object.fromEntries(Object.keys(services).map((service) => [service, 0])),
    ]),
  );
}

const logText = ({ at, text }: LogLine): string => `${at === null ? "-" : isoTime(at)} ${text}\n`;

const digest = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
