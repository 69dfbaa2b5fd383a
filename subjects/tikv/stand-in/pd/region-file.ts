import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { NodeLog } from "../node-log.ts";
import type { RegionShapes } from "./region-shapes.ts";
import { heardFromNobody, Regions } from "./regions.ts";

/** Changes come in bursts (splits, a new leader's copy): one write serves them all. */
const GATHER_MS = 100;
const FILE = "regions.json";

export interface RegionFileOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly log: NodeLog;
  /** The disk failed. */
  onFatal(error: unknown): void;
}

/**
 * The regions that this member knows, kept on its disk without leaders and figures, shortly after their shapes changed.
 * The file survives the end of the process, not surely that of the machine: what is lost or damaged comes again with
 * the stores' next reports.
 */
export class RegionFile implements AsyncDisposable {
  readonly regions: Regions;
  readonly #options: RegionFileOptions;
  readonly #stop = new AbortController();
  #dirty = false;
  #writing: Promise<void> | null = null;

  static async open(options: RegionFileOptions): Promise<RegionFile> {
    await mkdir(options.folder, { recursive: true });
    return new RegionFile(options, await load(options));
  }

  private constructor(options: RegionFileOptions, shapes: RegionShapes) {
    this.#options = options;
    this.regions = new Regions(() => this.#changed());
    for (const shape of shapes) this.regions.put({ ...heardFromNobody, ...shape });
  }

  /** Writes what is not written yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#writing;
  }

  #changed(): void {
    this.#dirty = true;
    this.#writing ??= this.#write()
      .catch((error: unknown) => this.#options.onFatal(error))
      .finally(() => (this.#writing = null));
  }

  async #write(): Promise<void> {
    const { clock, folder } = this.#options;
    const path = join(folder, FILE);
    while (this.#dirty) {
      await clock.sleep(GATHER_MS, this.#stop.signal).catch(() => {});
      this.#dirty = false;
      await writeFile(`${path}.new`, JSON.stringify(this.#shapes()));
      await rename(`${path}.new`, path);
    }
  }

  #shapes(): RegionShapes {
    return this.regions.all().map(({ id, startKey, endKey, confVer, version, peers }) => {
      return { id, startKey, endKey, confVer, version, peers: [...peers] };
    });
  }
}

async function load({ folder, log }: RegionFileOptions): Promise<RegionShapes> {
  try {
    const found: unknown = JSON.parse(await readFile(join(folder, FILE), "utf8"));
    const shapes = (await import("./region-shapes.ts")).regionShapes.parse(found);
    log.info("cluster.go:553", "load regions", { count: shapes.length });
    return shapes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      log.warn("cluster.go:549", "load regions failed", { error: errorText(error) });
    return [];
  }
}
