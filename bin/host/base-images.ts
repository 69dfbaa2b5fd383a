/**
 * The base images of our Dockerfiles, on a machine that cannot reach an image registry: made from Debian's and npm's
 * packages under the names that the Dockerfiles ask for, so that these build unchanged. Where they can be pulled, they
 * are. Local use only: the images carry the host's CA bundle and must never be published.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { $ } from "zx";
import { say } from "./say.ts";

const here = dirname(fileURLToPath(import.meta.url));
const HOST_CA = "/etc/ssl/certs/ca-certificates.crt";

/** Debian's Prometheus for tests; users get the image that the compose file pins. */
export const DEBIAN_PROMETHEUS = "prometheus-debian:2.42";

export async function ensureBaseImages(): Promise<void> {
  await ensure("debian:bookworm-slim", makeDebian);
  await ensure("node:24-bookworm-slim", makeNode);
  await ensure("golang:1.26-bookworm", makeGo);
}

/** Built always from Debian's package: it has this name and no other. */
export async function ensureDebianPrometheus(): Promise<void> {
  if (await exists(DEBIAN_PROMETHEUS)) return;
  await $({ quiet: true })`docker build -q -t ${DEBIAN_PROMETHEUS} -f ${join(here, "prometheus.Dockerfile")} ${here}`;
  say(`made image ${DEBIAN_PROMETHEUS} from Debian's package (a real Prometheus, older than the pinned one)`);
}

async function ensure(image: string, make: (image: string) => Promise<void>): Promise<void> {
  if (await exists(image)) return;
  if ((await $({ nothrow: true, quiet: true, timeout: "120s" })`docker pull -q ${image}`).exitCode === 0)
    return say(`pulled ${image}`);
  await make(image);
  say(`made image ${image} from packages, since it could not be pulled`);
}

async function makeDebian(image: string): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const tar = join(folder, "root.tar");
    await $({ quiet: true })`mmdebstrap --quiet --variant=minbase --include=ca-certificates bookworm ${tar}`;
    await $({ quiet: true })`docker import --change ${'CMD ["bash"]'} ${tar} ${image}`;
  });
}

async function makeNode(image: string): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const nodePackage = `node-linux-${process.arch}`;
    await $({ quiet: true, cwd: folder })`npm install --no-save --prefix ${folder} ${nodePackage}@24 npm@11`;
    await cp(join(folder, "node_modules", nodePackage, "bin", "node"), join(folder, "node"));
    await cp(join(folder, "node_modules", "npm"), join(folder, "npm"), { recursive: true });
    await cp(HOST_CA, join(folder, "ca-certificates.crt"));
    await $({ quiet: true })`docker build -q -t ${image} -f ${join(here, "node.Dockerfile")} ${folder}`;
  });
}

/** Of the machine's own Go, whatever its version. */
async function makeGo(image: string): Promise<void> {
  const goRoot = (await $({ quiet: true })`go env GOROOT`).stdout.trim();
  await inTemporaryFolder(async (folder) => {
    await cp(goRoot, join(folder, "go"), { recursive: true });
    await cp(HOST_CA, join(folder, "ca-certificates.crt"));
    await $({ quiet: true })`docker build -q -t ${image} -f ${join(here, "go.Dockerfile")} ${folder}`;
  });
}

async function exists(image: string): Promise<boolean> {
  return (await $({ nothrow: true, quiet: true })`docker image inspect ${image}`).exitCode === 0;
}

async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "base-image-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
