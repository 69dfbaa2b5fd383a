import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { HarnessError } from "../../../harness/base/errors.ts";
import { heldDuplex, type HeldDuplex } from "./held-duplex.ts";
import type { LinkRules } from "./link-rules.ts";

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** Name of the node there; left out = looked up in the address book, null = not a node. */
  readonly peer?: string | null;
}

/**
 * Connects to another node and returns the connection behind the link layer. While a rule stands in between it stays
 * silent, like a SYN that is dropped, until the rule goes or the signal aborts.
 *
 * @throws the connection's error; the signal's reason.
 */
export async function dial(target: DialTarget, rules: LinkRules, signal: AbortSignal): Promise<HeldDuplex> {
  const peer = target.peer === undefined ? rules.nameOf(`${target.host}:${target.port}`) : target.peer;
  signal.throwIfAborted();
  await passable(rules, peer, signal);
  const socket: Socket = connect({ host: target.host, port: target.port, noDelay: true });
  try {
    await once(socket, "connect", { signal });
  } catch (error) {
    socket.on("error", () => {});
    socket.destroy();
    signal.throwIfAborted();
    throw error;
  }
  return heldDuplex(socket, { rules, peer: () => peer });
}

/** Splits `http://host:port`, `host:port` or `[v6]:port`. @throws HarnessError `config-invalid` */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const url = URL.parse(address.includes("://") ? address : `http://${address}`);
  const port = Number(url?.port === "" ? "80" : url?.port);
  if (url === null || !Number.isInteger(port))
    throw new HarnessError("config-invalid", `"${address}" is not an address`);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port };
}

async function passable(rules: LinkRules, peer: string | null, signal: AbortSignal): Promise<void> {
  while (rules.holds(peer)) {
    await new Promise<void>((resolve, reject) => {
      const settle = (act: () => void) => () => {
        unsubscribe();
        signal.removeEventListener("abort", aborted);
        act();
      };
      const aborted = settle(() => reject(signal.reason as Error));
      const unsubscribe = rules.onChange(settle(resolve));
      signal.addEventListener("abort", aborted, { once: true });
    });
  }
}
