import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type Docker from "dockerode";
import { isoTime } from "../../harness/base/clock.ts";
import { HarnessError } from "../../harness/base/errors.ts";
import { startSupport, type SupportContainer } from "../../harness/engine/docker-support.ts";
import { ensureImage } from "../../harness/engine/images.ts";
import { ownImages } from "../../harness/engine/own-images.ts";
import type {
  Attestation,
  Component,
  Deps,
  Endpoints,
  InstanceId,
  OwnerEngine,
  SubjectInstance,
  Workload,
  WorkloadOptions,
} from "../../harness/protocol.ts";
import { endpointsOf, SCRAPE_INTERVAL_MS, type PlacedComponent } from "./docker-layout.ts";
import { endedWith } from "./ended-with.ts";
import { tikvInvariants } from "./invariants/index.ts";
import { addressBook, urlsOf } from "./kit/clients/address-book.ts";
import { pdClient } from "./kit/clients/pd.ts";
import type { TikvObservation } from "./observation.ts";
import { observerOptions, tikvObserver } from "./observe.ts";
import { candidatesFor, leadersByStore, waitSteady, type ReadinessSources } from "./readiness.ts";
import { connectWorkload } from "./workload/connect.ts";
import { FOREIGN_KEY_PREFIX } from "./workload/keys.ts";
import { workloadEnvironment } from "./workload/settings.ts";

export interface DockerParts {
  readonly id: InstanceId;
  readonly project: string;
  readonly network: string;
  readonly owned: boolean;
  readonly title: string;
  readonly standIn: boolean;
  readonly build: string;
  readonly docker: Docker;
  readonly engine: OwnerEngine;
  readonly components: readonly PlacedComponent[];
  /** Where it is not one of the components. */
  readonly prometheusUrl: string | null;
  readonly deps: Deps;
  /** What "as new" is made of, besides build and components. */
  readonly newness: Readonly<Record<string, string>>;
  /** Null = not ours to end. */
  readonly tearDown: (() => Promise<void>) | null;
  /** It outlives whoever opened it. */
  readonly detached: boolean;
  readonly detach: (() => void) | null;
}

const WORKLOAD_PORT = 9_300;
/** As in the shipped compose file: Prometheus looks it up. */
const WORKLOAD_ALIAS = "workload";
const WORKLOAD_START_MS = 20_000;

/** A TiKV cluster in containers, of ours or somebody else's. Disposing tears down only what is ours and not detached. */
export class DockerInstance implements SubjectInstance<TikvObservation> {
  readonly subject = "tikv";
  readonly timeFactor = 1;
  readonly scrapeIntervalMs = SCRAPE_INTERVAL_MS;
  readonly id;
  readonly owned;
  readonly title;
  readonly standIn;
  readonly build;
  readonly engine;
  readonly components;
  readonly invariants = tikvInvariants();
  readonly observe: SubjectInstance<TikvObservation>["observe"];
  readonly #parts: DockerParts;
  readonly #readiness: ReadinessSources;
  #detached: boolean;
  #workload: Workload | null = null;
  #workloadContainer: SupportContainer | null = null;
  /** A few lines: it says little unless something is wrong. */
  readonly #workloadOutput: Buffer[] = [];

  constructor(parts: DockerParts) {
    this.#parts = parts;
    this.#detached = parts.detached;
    this.id = parts.id;
    this.owned = parts.owned;
    this.title = parts.title;
    this.standIn = parts.standIn;
    this.build = parts.build;
    this.engine = parts.engine;
    this.components = parts.components.map(({ component, role }) => ({ component, role }));
    const endpoints = this.endpoints("host");
    const { componentOf } = addressBook(endpoints);
    const members = urlsOf(endpoints, this.components, "pd", "client");
    this.#readiness = { pd: pdClient({ members, componentOf }, parts.deps), componentOf, clock: parts.deps.clock };
    this.observe = tikvObserver(
      {
        ...observerOptions(endpoints, this.components),
        engine: parts.engine,
        workload: () => this.#workload,
      },
      parts.deps,
    );
  }

  endpoints(view: Endpoints["view"]): Endpoints {
    return endpointsOf(this.#parts.components, this.#parts.prometheusUrl, view);
  }

  operatorEnvironment(view: Endpoints["view"]): Readonly<Record<string, string>> {
    const endpoints = this.endpoints(view);
    return {
      ENGINE: `docker:${this.#parts.project}`,
      NETWORK: this.#parts.network,
      ENDPOINTS: JSON.stringify(endpoints),
      PD_URLS: this.#pdUrls(endpoints).join(","),
      PROMETHEUS_URL: endpoints.prometheusUrl ?? "",
      SCRAPE_INTERVAL_MS: String(SCRAPE_INTERVAL_MS),
    };
  }

  waitReady(options: { readonly timeoutMs: number }, signal: AbortSignal): Promise<void> {
    return waitSteady(this.#readiness, options, signal);
  }

  candidates(predicate: string, signal: AbortSignal): Promise<readonly Component[]> {
    return candidatesFor(predicate, this.#readiness, signal);
  }

  leaders(signal: AbortSignal): Promise<ReadonlyMap<Component, number>> {
    return leadersByStore(this.#readiness, signal);
  }

  /** A container of ours beside the cluster; one at a time. On somebody else's cluster it deletes its keys at the end. */
  async startWorkload(options: WorkloadOptions, signal: AbortSignal): Promise<Workload> {
    const { deps, owned, docker, network, project } = this.#parts;
    if (this.#workloadContainer !== null)
      throw new HarnessError("workload-failed", `a workload already runs on ${project}`);
    await ensureImage(ownImages.workload, signal);
    const pdEndpoints = this.#pdUrls(this.endpoints("network"));
    const keyPrefix = owned ? options.keyPrefix : FOREIGN_KEY_PREFIX + options.keyPrefix;
    const token = deps.ids.hex(16);
    const listen = `0.0.0.0:${WORKLOAD_PORT}`;
    const settings = { ...options, keyPrefix, listen, pdEndpoints, advertised: {}, controlToken: token };
    const container = await startSupport(
      docker,
      {
        image: ownImages.workload.tag,
        instance: this.id,
        network,
        aliases: [WORKLOAD_ALIAS],
        publish: WORKLOAD_PORT,
        env: workloadEnvironment(settings),
        output: (bytes) => this.#workloadOutput.push(bytes),
      },
      signal,
    );
    this.#workloadContainer = container;
    try {
      const url = `http://${container.address}`;
      const connected = await connectWorkload(
        { url, token, timeoutMs: WORKLOAD_START_MS, cleanUp: !owned },
        deps,
        signal,
      );
      this.#workload = endedWith(connected, () => this.#endWorkload());
      return this.#workload;
    } catch (error) {
      deps.log.warn("workload-not-started", {
        said: Buffer.concat(this.#workloadOutput).toString("utf8").slice(-2_000),
      });
      await this.#endWorkload();
      throw error;
    }
  }

  #pdUrls(endpoints: Endpoints): string[] {
    return Object.values(urlsOf(endpoints, this.components, "pd", "client"));
  }

  async #endWorkload(): Promise<void> {
    const container = this.#workloadContainer;
    this.#workload = null;
    this.#workloadContainer = null;
    await container?.[Symbol.asyncDispose]();
  }

  attest(): Promise<Attestation> {
    const parts = { build: this.build, members: digest(this.components), ...this.#parts.newness };
    return Promise.resolve({ digest: digest(parts), parts });
  }

  /** One file per component, as it was printed, each line with its time of arrival; ours too. */
  async collectLogs(folder: string, signal: AbortSignal): Promise<void> {
    await mkdir(folder, { recursive: true });
    for (const { component } of await this.engine.list(signal)) {
      const lines = await this.engine.logs(component, {}, signal);
      const text = lines.map(({ at, text: line }) => `${at === null ? "-" : isoTime(at)} ${line}\n`).join("");
      await writeFile(path.join(folder, `${component}.log`), text);
    }
    if (this.#workloadOutput.length > 0) await writeFile(path.join(folder, "client.log"), this.#workloadOutput);
  }

  /** From now on it outlives this process. */
  detach(): Promise<void> {
    this.#parts.detach?.();
    this.#detached = true;
    return Promise.resolve();
  }

  /**
   * Removes everything of it: containers, volumes, network. Idempotent.
   *
   * @throws HarnessError `not-ours` on an attached one.
   */
  async tearDown(): Promise<void> {
    const { tearDown, project } = this.#parts;
    if (tearDown === null) throw new HarnessError("not-ours", `${project} is not ours to tear down`);
    await tearDown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endWorkload();
    if (this.#parts.tearDown !== null && !this.#detached) await this.tearDown();
    await this.engine[Symbol.asyncDispose]();
  }
}

const digest = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
