import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const MAIN = resolve(import.meta.dirname, "../../harness/cli/main.ts");

export interface LabRun {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with the exit code (null = killed) once the process and its pipes have ended. */
  readonly ended: Promise<number | null>;
  /** Resolves when stdout contains it; rejects when the process ends before. */
  sees(text: string | RegExp): Promise<void>;
}

/** The lab as a person runs it, with a state folder and a folder for records of its own. */
export interface LabHome extends AsyncDisposable {
  readonly folder: string;
  readonly runs: string;
  /** All variables of its programs, for those that are not started by `run`. */
  readonly env: Readonly<Record<string, string>>;
  run(...args: string[]): LabRun;
  /** Instances whose folders are there. */
  instances(): Promise<string[]>;
}

/** @param more added to this process's own, e.g. the images of a compose file. */
export async function labHome(more: Readonly<Record<string, string>> = {}): Promise<LabHome> {
  const folder = await mkdtemp(join(tmpdir(), "lab-"));
  const env = {
    ...(process.env as Record<string, string>),
    // Tickets of a trial lie below XDG_STATE_HOME: in here, so that a test finds everything that is left.
    XDG_STATE_HOME: join(folder, "xdg"),
    ...more,
    AGENT_LAB_HOME: join(folder, "state"),
    NO_COLOR: "1",
  };
  const started: ChildProcess[] = [];
  return {
    folder,
    runs: join(folder, "runs"),
    env,
    run(...args) {
      const child = spawn(process.execPath, [MAIN, ...args], {
        cwd: folder,
        env,
        stdio: ["ignore", "pipe", "pipe"],
      });
      started.push(child);
      return follow(child);
    },
    instances: () => readdir(join(folder, "state", "instances")).catch(() => []),
    async [Symbol.asyncDispose]() {
      for (const child of started) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function follow(child: ChildProcess): LabRun {
  let [stdout, stderr] = ["", ""];
  const waiting = new Set<() => void>();
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    for (const look of waiting) look();
  });
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | null>((done) => child.once("close", (code) => done(code)));
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    sees(text) {
      return new Promise((found, missed) => {
        const look = (): void => {
          if (typeof text === "string" ? !stdout.includes(text) : !text.test(stdout)) return;
          waiting.delete(look);
          found();
        };
        waiting.add(look);
        void ended.then(() => missed(new Error(`ended without "${String(text)}":\n${stdout}\n${stderr}`)));
        look();
      });
    },
  };
}
