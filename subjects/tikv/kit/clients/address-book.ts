import type { Component, ComponentInfo, Endpoints } from "../../../../harness/protocol.ts";

/** Turns what the cluster advertises into what we dial and what we call it. */
export interface AddressBook {
  /** Component at an advertised address or URL; the host's name when nobody knows it. */
  componentOf(addressOrUrl: string): Component;
  /** What to dial for it from here, without scheme. */
  dial(addressOrUrl: string): string;
}

const withoutScheme = (text: string): string => text.replace(/^[a-z]+:\/\//i, "").replace(/\/.*$/, "");

export function hostOf(addressOrUrl: string): string {
  return withoutScheme(addressOrUrl).replace(/:\d+$/, "");
}

export function addressBook(endpoints: Endpoints): AddressBook {
  const advertised = new Map(
    Object.entries(endpoints.advertised).map(([from, to]) => [withoutScheme(from), withoutScheme(to)]),
  );
  const owner = new Map<string, Component>();
  for (const [component, services] of Object.entries(endpoints.byComponent))
    for (const address of Object.values(services)) owner.set(withoutScheme(address), component as Component);
  const dial = (address: string): string => advertised.get(withoutScheme(address)) ?? withoutScheme(address);
  return {
    dial,
    componentOf: (address) => owner.get(dial(address)) ?? (hostOf(address) as Component),
  };
}

/** Base URLs of every component of a role that offers `service`, by component. */
export function urlsOf(
  endpoints: Endpoints,
  components: readonly ComponentInfo[],
  role: string,
  service: string,
): Readonly<Record<string, string>> {
  const urls: Record<string, string> = {};
  for (const info of components) {
    const address = info.role === role ? endpoints.byComponent[info.component]?.[service] : undefined;
    if (address !== undefined) urls[info.component] = asUrl(address);
  }
  return urls;
}

/** `host:port` or URL -> URL without a slash at its end. */
export function asUrl(address: string): string {
  return (/^https?:\/\//.test(address) ? address : `http://${address}`).replace(/\/+$/, "");
}
