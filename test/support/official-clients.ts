import { buildGo } from "./go.ts";
import { buildRust, whyNoRust } from "./rust.ts";

/** A program that works a cluster through a client that TiKV's own people make, and checks what it was told. */
export interface OfficialClient {
  readonly name: string;
  /** Where it is on this machine. */
  readonly program: string;
  /** Keys of its own, so that all can work at once. All are in one region, which begins the key space. */
  readonly flags: readonly string[];
}

/** Why the Rust client is left out, or null. */
export const leftOut: string | null = whyNoRust;

/** @param env for the Go compiler, e.g. GOOS */
export async function buildOfficialClients(
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly OfficialClient[]> {
  const check = (name: string, modfile?: string) =>
    buildGo("tikv-raw-check", folder, { env, ...(modfile === undefined ? {} : { modfile }), as: name });
  return [
    { name: "client-go 2.0.7", program: await check("go-2.0.7"), flags: [] },
    { name: "client-go of 8.5", program: await check("go-8.5", "go.8.5.mod"), flags: ["-prefix", "checked"] },
    ...(leftOut === null
      ? [{ name: "tikv-client 0.4 (Rust)", program: await buildRust("tikv-rust-check"), flags: [] }]
      : []),
  ];
}
