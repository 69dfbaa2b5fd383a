import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync } from "node:fs";
import path from "node:path";
import { credentials, loadPackageDefinition, type Client, type ServiceClientConstructor } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { waitFor } from "../harness/base/wait.ts";
import { freePortBlock } from "../harness/engine/process/ports.ts";
import type { Deps } from "../harness/protocol.ts";

const MEMBERS = 3;
const READY_MS = 30_000;

const loaded = loadPackageDefinition(
  loadSync(path.join(import.meta.dirname, "etcd.proto"), { keepCase: true, longs: String, defaults: true }),
) as unknown as { etcdserverpb: { KV: ServiceClientConstructor; Maintenance: ServiceClientConstructor } };

export const EtcdKv = loaded.etcdserverpb.KV;

/** Three members of etcd on loopback, with the settings that it has by default: every write is synced. */
export interface EtcdCluster extends AsyncDisposable {
  /** `host:port` of the member that leads: the fastest one to write to. */
  readonly leader: string;
}

/** What `etcd --version` says, or null when there is none on this machine. */
export function etcdVersion(): string | null {
  const { status, stdout } = spawnSync("etcd", ["--version"], { encoding: "utf8" });
  return status === 0 ? (/etcd Version: (\S+)/.exec(stdout)?.[1] ?? "unknown") : null;
}

export async function startEtcd(root: string, deps: Deps): Promise<EtcdCluster> {
  const { ports } = await freePortBlock(MEMBERS * 2, deps.random.fork("etcd"));
  const at = (member: number, which: 0 | 1): string => `127.0.0.1:${ports[member * 2 + which]}`;
  const numbers = Array.from({ length: MEMBERS }, (_, member) => member);
  const cluster = numbers.map((member) => `e${member}=http://${at(member, 1)}`).join(",");
  const members = numbers.map((member) => {
    const folder = path.join(root, `e${member}`);
    mkdirSync(folder, { recursive: true });
    const [client, peer] = [`http://${at(member, 0)}`, `http://${at(member, 1)}`];
    const child = spawn(
      "etcd",
      [
        ...["--name", `e${member}`, "--data-dir", path.join(folder, "data"), "--initial-cluster", cluster],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--logger", "zap"],
      ],
      { stdio: ["ignore", "ignore", "pipe"], env: { PATH: process.env["PATH"] ?? "" } },
    );
    child.stderr.pipe(createWriteStream(path.join(folder, "log")));
    return child;
  });
  const end = async (): Promise<void> => void (await Promise.all(members.map(killed)));
  try {
    const addresses = numbers.map((member) => at(member, 0));
    const options = { clock: deps.clock, timeoutMs: READY_MS, everyMs: 100, what: "etcd to have a leader" };
    const leader = await waitFor(
      async () => (await Promise.all(addresses.map(leads))).find((one) => one !== null),
      options,
    );
    return { leader, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader: string;
}

/** The address, if the member there leads. */
function leads(address: string): Promise<string | null> {
  const client = new loaded.etcdserverpb.Maintenance(address, credentials.createInsecure()) as unknown as Client & {
    Status(request: object, done: (error: Error | null, status?: Status) => void): void;
  };
  return new Promise((resolve) => {
    client.Status({}, (_error, status) => {
      client.close();
      resolve(
        status !== undefined && status.leader !== "0" && status.leader === status.header.member_id ? address : null,
      );
    });
  });
}
