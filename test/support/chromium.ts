import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The machine's own Chromium (`bin/host/prepare.ts` installs Debian's); null where there is none. */
export function chromiumProgram(): string | null {
  return PROGRAMS.find((program) => existsSync(program)) ?? null;
}

/** Without sandbox: tests run as root in containers, and open nothing but our own page. */
export async function openChromium(): Promise<Browser> {
  const executablePath = chromiumProgram();
  if (executablePath === null) throw new Error("there is no Chromium on this machine");
  return await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
}
