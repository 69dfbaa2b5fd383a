// Makes `dist/` for a packed tarball: Node strips no types under node_modules, so what is installed must be JavaScript.
// In the clone nothing uses it.
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { root } from "./toolchain.mjs";

const PARTS = ["harness", "scenarios", "subjects", "tickets", "docker"];
/** `subject check` compares with a healthy cluster; the other states are the tests'. */
const RECORDINGS = ["README.md", "healthy.json", "metrics-leader.txt", "metrics-pd0.txt"];
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [join(root, "node_modules", ".bin", "tsc"), "-p", "tsconfig.build.json"],
  {
    cwd: root,
    stdio: ["ignore", 2, 2],
  },
);
if (status !== 0) process.exit(status ?? 1);
for (const part of PARTS) cpSync(join(root, part), join(dist, part), { recursive: true, filter: isAsset });
for (const file of readdirSync(dist, { recursive: true, encoding: "utf8" }))
  if (file.endsWith(".js")) nameCompiled(join(dist, file));

/** Compose files, .proto, runbooks and whatever else stands beside the sources; of the recordings what a command reads. */
function isAsset(path) {
  if (statSync(path).isDirectory()) return true;
  if (path.includes("/recordings/")) return RECORDINGS.includes(basename(path));
  return !path.endsWith(".ts");
}

/** tsc rewrites imports; this the other paths of our sources: programs that are started, files that are digested. */
function nameCompiled(file) {
  const text = readFileSync(file, "utf8");
  const renamed = text.replace(
    /(["'`])([\w./-]*main|(?:harness|subjects|scenarios|tickets)\/[\w./-]+)\.ts\1/g,
    "$1$2.js$1",
  );
  if (renamed !== text) writeFileSync(file, renamed);
}
