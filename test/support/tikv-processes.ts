import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tikvConfig } from "../../subjects/tikv/embedded.ts";

const MAIN = join(import.meta.dirname, "../../subjects/tikv/stand-in/tikv-main.ts");

/** Ports that nobody listens on right now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

interface ProcessOptions {
  readonly name: string;
  readonly address: string;
  readonly statusAddress: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

/** One TiKV process; keeps its ports and its folder over restarts. */
export class TikvProcess {
  readonly #options: ProcessOptions;
  #child: ChildProcess | null = null;
  #stderr = "";
  #exit: Promise<number | null> = Promise.resolve(null);

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }
  get address(): string {
    return this.#options.address;
  }
  get statusAddress(): string {
    return this.#options.statusAddress;
  }
  get dataDir(): string {
    return this.#options.flags["data-dir"] ?? "";
  }
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Another one with some flags changed. Not killed by whoever made this one: it must end by itself. */
  with(flags: Readonly<Record<string, string>>): TikvProcess {
    return new TikvProcess({ ...this.#options, flags: { ...this.#options.flags, ...flags } });
  }

  /** All that it has logged since its last start. */
  get log(): string {
    return this.#stderr;
  }

  start(): this {
    this.#stderr = "";
    const argv = Object.entries(this.#options.flags).map(([flag, value]) => `--${flag}=${value}`);
    const child = spawn(process.execPath, [MAIN, ...argv], {
      env: { ...process.env, ...this.#options.env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr?.on("data", (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.#exit = new Promise((resolve) => child.once("close", resolve));
    this.#child = child;
    return this;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Its exit code, when it has ended; null = by a signal. */
  exited(): Promise<number | null> {
    return this.#exit;
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#exit;
  }
}

/** `count` processes in a folder of their own, all killed when disposed. */
export async function tikvProcesses(options: {
  readonly count: number;
  readonly pd: string;
  readonly timeFactor: number;
  /** TOML; the embedded cluster's when nothing is said. */
  readonly config?: string;
  readonly env?: (name: string) => Readonly<Record<string, string>>;
}): Promise<{ readonly all: readonly TikvProcess[]; readonly folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "tikv-"));
  const config = join(folder, "tikv.toml");
  await writeFile(config, options.config ?? tikvConfig);
  const ports = await freePorts(options.count * 2);
  const all = Array.from({ length: options.count }, (_, at) => {
    const name = `tikv${at}`;
    const [address, statusAddress] = [`127.0.0.1:${ports[2 * at]}`, `127.0.0.1:${ports[2 * at + 1]}`];
    const flags = {
      addr: address,
      "status-addr": statusAddress,
      "data-dir": join(folder, name),
      config,
      pd: options.pd,
    };
    const env = { NODE_NAME: name, TIME_FACTOR: String(options.timeFactor), ...options.env?.(name) };
    return new TikvProcess({ name, address, statusAddress, flags, env });
  });
  return {
    all,
    folder,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(all.map((one) => one.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
