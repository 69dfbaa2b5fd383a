/** `http://pd0:2379/` and `pd0:2379` are the same place. */
export function hostPort(address: string): string {
  return address
    .trim()
    .replace(/^[a-z]+:\/\//i, "")
    .replace(/\/.*$/, "");
}

/** Maps what the cluster advertises to what can be dialled from here; unknown addresses are dialled as they are. */
export type AddressBook = (advertised: string) => string;

export function addressBook(advertised: Readonly<Record<string, string>>): AddressBook {
  const map = new Map(Object.entries(advertised).map(([from, to]) => [hostPort(from), hostPort(to)]));
  return (address) => map.get(hostPort(address)) ?? hostPort(address);
}
