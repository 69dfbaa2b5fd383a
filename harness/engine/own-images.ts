import path from "node:path";
import type { ImageBuild } from "./images.ts";

const root = path.resolve(import.meta.dirname, "../..");
const PACKAGES = ["package.json", "package-lock.json", ".npmrc", ".dockerignore"];
/** Of programs that are compiled and get the packages that they import, and no others. */
const COMPILED = ["tsconfig.json", "docker/keep-packages.mjs", "harness/base", "harness/protocol.ts"];

const fromRoot = (tag: string, folder: string, sources: readonly string[]): ImageBuild => ({
  tag,
  dockerfile: path.join(root, "docker", folder, "Dockerfile"),
  context: root,
  sources: [...PACKAGES, `docker/${folder}`, ...sources],
});

/**
 * What we build. Operators see the tags of what runs in the cluster, so all of them are neutral. `sources` is what the
 * Dockerfile copies.
 */
export const ownImages = {
  /** Imitations of PD and TiKV: `/pd-server`, `/tikv-server`. */
  clusterNode: fromRoot("cluster-node:1", "stand-in", [
    "tsconfig.json",
    "harness/base",
    "harness/protocol.ts",
    "subjects/common",
    "subjects/tikv",
  ]),
  workload: fromRoot("tikv-workload:1", "workload", [
    "harness/base",
    "harness/protocol.ts",
    "subjects/tikv/proto",
    "subjects/tikv/workload",
  ]),
  agent: fromRoot("operator-agent:1", "agent", [
    ...COMPILED,
    "harness/engine",
    "harness/control",
    "harness/agent",
    "tickets",
    "subjects/tikv/kit",
  ]),
  /** Control server; the way to the model is a second program in it. */
  composeAgent: fromRoot("operator-compose-agent:1", "compose-agent", [
    ...COMPILED,
    "harness/engine",
    "harness/control",
    "tickets",
  ]),
  panel: fromRoot("operator-panel:1", "panel", [
    ...COMPILED,
    "harness/engine",
    "harness/control",
    "harness/panel",
    "tickets",
  ]),
  /** Somebody else's client, for load; pinned by its go.mod. */
  goYcsb: {
    tag: "go-ycsb:1.0.1",
    dockerfile: path.join(root, "docker/go-ycsb/Dockerfile"),
    context: path.join(root, "docker/go-ycsb"),
    sources: ["go.mod", "go.sum", "tools.go", "load-and-run"],
  },
  netTools: {
    tag: "net-tools:1",
    dockerfile: path.join(root, "docker/net-tools/Dockerfile"),
    context: path.join(root, "docker/net-tools"),
    sources: ["guard-network"],
  },
} satisfies Readonly<Record<string, ImageBuild>>;
