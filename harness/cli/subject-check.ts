import { Command, InvalidArgumentError } from "commander";
import type { CheckResult } from "../../subjects/tikv/check/check-pd.ts";
import { HarnessError } from "../base/errors.ts";
import type { ComponentInfo, Endpoints } from "../protocol.ts";
import { attachedId } from "./attached-id.ts";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { newInstance } from "./subjects.ts";

interface Flags {
  readonly attach?: string;
  readonly pd?: readonly string[];
  readonly json?: true;
}

const READY_TIMEOUT_MS = 180_000;

/** `lab subject check tikv`: whether a PD answers as a recorded PD v8.5.7 did. Reads only. */
export function subjectCheckCommand(io: CliIo, onlyTikv: (name: string) => string): Command {
  return new Command("check")
    .description("hold a PD's answers to those of a recorded v8.5.7; reads only. Default: a fresh embedded cluster")
    .argument("<subject>", "tikv", onlyTikv)
    .option("--attach <project>", "a running cluster: its compose project")
    .option("--pd <urls>", "any PD: its members' client URLs, comma-separated", urls)
    .option("--json", "machine-readable")
    .action(async (_: string, flags: Flags) => {
      if (flags.attach !== undefined && flags.pd !== undefined)
        throw new HarnessError("usage", "--attach and --pd name two clusters: give one of them");
      const result = await check(flags, io);
      if (result.findings.length > 0) io.setExitCode(EXIT.notPassed);
      await print(result, flags, io);
    });
}

function urls(text: string): readonly string[] {
  const list = text.split(",").map((url) => (/^https?:\/\//.test(url.trim()) ? url.trim() : `http://${url.trim()}`));
  if (!list.every((url) => URL.canParse(url)))
    throw new InvalidArgumentError("e.g. http://127.0.0.1:2379,http://127.0.0.1:12379");
  return list.map((url) => url.replace(/\/+$/, ""));
}

async function check({ attach, pd }: Flags, io: CliIo): Promise<CheckResult> {
  const { checkPd } = await import("../../subjects/tikv/check/check-pd.ts");
  if (pd !== undefined) return checkPd(pd, io.deps, io.signal);
  if (attach !== undefined) {
    const { attachDocker } = await import("../../subjects/tikv/adapter-docker.ts");
    const options = { engine: "docker" as const, project: attach, id: attachedId(attach) };
    await using instance = await attachDocker(options, io.deps, io.signal);
    return await checkPd(await pdUrls(instance), io.deps, io.signal);
  }
  const { deployEmbedded } = await import("../../subjects/tikv/adapter-process.ts");
  using owned = newInstance(io, "subject check tikv");
  const names = { project: `tikv-${owned.id}`, network: `tikv-${owned.id}` };
  io.err("starting an embedded cluster ...\n");
  await using instance = await deployEmbedded(
    { engine: "process", id: owned.id, stateDir: owned.paths.dir, ...names, timeFactor: 1 },
    io.deps,
    io.signal,
  );
  await instance.waitReady({ timeoutMs: READY_TIMEOUT_MS }, io.signal);
  return await checkPd(await pdUrls(instance), io.deps, io.signal);
}

async function pdUrls(instance: {
  readonly components: readonly ComponentInfo[];
  endpoints(view: "host"): Endpoints;
}): Promise<readonly string[]> {
  const { urlsOf } = await import("../../subjects/tikv/kit/clients/address-book.ts");
  const found = Object.values(urlsOf(instance.endpoints("host"), instance.components, "pd", "client"));
  if (found.length === 0) throw new HarnessError("not-found", "this cluster has no PD that answers from this host");
  return found;
}

async function print(result: CheckResult, { json }: Flags, io: CliIo): Promise<void> {
  const { curlOf, reportText, summaryText } = await import("../../subjects/tikv/check/report.ts");
  if (json !== undefined) {
    const findings = result.findings.map((finding) => ({ ...finding, reproduce: curlOf(finding) }));
    io.out(`${JSON.stringify({ ...result, findings })}\n`);
    return;
  }
  const report = reportText(result);
  io.out(`${report}${report === "" ? "" : "\n"}${summaryText(result)}\n`);
}
