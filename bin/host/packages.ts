import { $ } from "zx";
import { say } from "./say.ts";

/** Program that shows that a package is there -> the Debian package. */
const needed: Readonly<Record<string, string>> = {
  dockerd: "docker.io",
  "docker-compose": "docker-compose",
  iptables: "iptables",
  mmdebstrap: "mmdebstrap",
  curl: "curl",
  script: "bsdutils",
  promtool: "prometheus",
  chromium: "chromium",
};

/** Installs what is missing, where apt is there and we are root. Elsewhere it is the machine's owner's business. */
export async function ensurePackages(): Promise<void> {
  if (process.getuid?.() !== 0 || !(await has("apt-get"))) return;
  const composeThere = (await $({ nothrow: true, quiet: true })`docker compose version`).exitCode === 0;
  const missing: string[] = [];
  for (const [program, debianPackage] of Object.entries(needed)) {
    if (program === "docker-compose" && composeThere) continue;
    if (!(await has(program))) missing.push(debianPackage);
  }
  if (missing.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = $({ env, quiet: true });
  await apt`apt-get update -q`;
  await apt`apt-get install -q -y --no-install-recommends ${missing}`;
  say(`installed ${missing.join(", ")}`);
}

/** Whether a program is on the path or in the folders of system programs. */
export async function has(program: string): Promise<boolean> {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const found = await $({ nothrow: true, quiet: true, env: { ...process.env, PATH: path } })`command -v ${program}`;
  return found.exitCode === 0;
}
