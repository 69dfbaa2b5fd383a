import type Docker from "dockerode";
import { EngineError } from "../base/errors.ts";
import type { Deps } from "../protocol.ts";
import { ensureImage } from "./images.ts";
import { ownImages } from "./own-images.ts";
import { PART_LABEL, SUPPORT_PART } from "./labels.ts";

const CHAIN = "HOLD";

/**
 * Drops packets inside a container's own network namespace, through a short-lived helper container that shares it: the
 * container itself has neither the tools nor the right. The rules end with the container's process.
 */
export class PacketFilter {
  readonly #docker: Docker;
  readonly #deps: Pick<Deps, "log">;

  constructor(docker: Docker, deps: Pick<Deps, "log">) {
    this.#docker = docker;
    this.#deps = deps;
  }

  /** @param addresses null = everyone but itself. */
  async cut(containerId: string, addresses: readonly string[] | null, signal: AbortSignal): Promise<void> {
    const rules =
      addresses === null
        ? [`iptables -A ${CHAIN} ! -i lo -j DROP`, `iptables -A ${CHAIN}-OUT ! -o lo -j DROP`]
        : addresses.flatMap((address) => [
            `iptables -A ${CHAIN} -s ${address} -j DROP`,
            `iptables -A ${CHAIN}-OUT -d ${address} -j DROP`,
          ]);
    await this.#run(
      containerId,
      ["set -e", ...ensureChain("INPUT", CHAIN), ...ensureChain("OUTPUT", `${CHAIN}-OUT`), ...rules],
      signal,
    );
  }

  async mend(containerId: string, signal: AbortSignal): Promise<void> {
    await this.#run(containerId, [...dropChain("INPUT", CHAIN), ...dropChain("OUTPUT", `${CHAIN}-OUT`)], signal);
  }

  async #run(containerId: string, script: readonly string[], signal: AbortSignal): Promise<void> {
    await ensureImage(ownImages.netTools, signal);
    const helper = await this.#docker.createContainer({
      Image: ownImages.netTools.tag,
      Cmd: ["/bin/sh", "-c", script.join("\n")],
      Labels: { [PART_LABEL]: SUPPORT_PART },
      HostConfig: { NetworkMode: `container:${containerId}`, CapAdd: ["NET_ADMIN"] },
    });
    try {
      await helper.start();
      const { StatusCode } = (await helper.wait({ abortSignal: signal })) as { StatusCode: number };
      if (StatusCode === 0) return;
      const said = (await helper.logs({ stdout: true, stderr: true })).toString("utf8").replace(/[^\x20-\x7e\n]/g, "");
      throw new EngineError("not-supported", `packet filter rules are refused here: ${said.trim()}`);
    } finally {
      await helper.remove({ force: true }).catch((error: unknown) => {
        this.#deps.log.warn("helper-not-removed", { helper: helper.id, error: String(error) });
      });
    }
  }
}

const ensureChain = (from: string, chain: string): string[] => [
  `iptables -N ${chain} 2>/dev/null || true`,
  `iptables -C ${from} -j ${chain} 2>/dev/null || iptables -I ${from} -j ${chain}`,
];

const dropChain = (from: string, chain: string): string[] => [
  `iptables -D ${from} -j ${chain} 2>/dev/null || true`,
  `iptables -F ${chain} 2>/dev/null && iptables -X ${chain} || true`,
];
