import type { Deps } from "../../harness/protocol.ts";
import { asUrl, hostOf } from "./kit/clients/address-book.ts";
import { parseLossless } from "./kit/clients/lossless.ts";
import { type PdClient, type PdMember, pdClient } from "./kit/clients/pd.ts";

/**
 * Finds out which member answers behind each URL: by the URLs that PD advertises, else (ports that are mapped, names
 * that only resolve inside) by the member id of the etcd that answers there. A member that is down keeps its address as
 * its name. Base URL by name. Never throws for a cluster that does not answer.
 */
export async function namePdMembers(
  urls: readonly string[],
  deps: Pick<Deps, "clock" | "fetch">,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const byAddress = Object.fromEntries(urls.map((url) => [addressOf(url), asUrl(url)]));
  const pd = pdClient({ members: byAddress }, deps);
  const known = await pd.membership(signal).catch(() => null);
  signal.throwIfAborted();
  const named = await Promise.all(
    Object.entries(byAddress).map(async ([address, url]) => {
      const member = await whoIs(pd, address, known?.members ?? [], signal);
      return [member?.name ?? nameless(address, Object.keys(byAddress)), url] as const;
    }),
  );
  return Object.fromEntries(named);
}

async function whoIs(
  pd: PdClient,
  address: string,
  members: readonly PdMember[],
  signal: AbortSignal,
): Promise<PdMember | undefined> {
  const advertised = members.find(({ clientUrls }) => clientUrls.some((url) => addressOf(url) === address));
  if (advertised !== undefined || members.length === 0) return advertised;
  try {
    const options = { member: address };
    const { text } = await pd.request("POST", "/v3/maintenance/status", "{}", signal, options);
    const { header } = parseLossless(text) as { readonly header?: { readonly member_id?: unknown } };
    return members.find(({ memberId }) => memberId === String(header?.member_id));
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

const addressOf = (url: string): string => asUrl(url).replace(/^https?:\/\//, "");

/** The host alone where that tells them apart. */
function nameless(address: string, all: readonly string[]): string {
  const host = hostOf(address);
  return all.filter((other) => hostOf(other) === host).length === 1 ? host : address;
}
