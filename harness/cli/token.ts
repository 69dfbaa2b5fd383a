import { Command, InvalidArgumentError } from "commander";
import { isoTime } from "../base/clock.ts";
import { HarnessError } from "../base/errors.ts";
import { PLANES, type Plane } from "../control/planes.ts";
import { readSettings, type ControlSettings } from "../control/settings.ts";
import { fingerprintOf, rotateToken, TokenError, tokenProvider, type StoredToken } from "../control/tokens/index.ts";
import type { CliIo } from "./io.ts";

interface Common {
  readonly config?: string;
  readonly json?: true;
}

interface RotateFlags extends Common {
  readonly grace?: number;
}

/** What people may see of a plane's token. */
interface TokenView {
  readonly plane: Plane;
  readonly provider: string;
  /** Of the token in force; null where there is none. */
  readonly fingerprint: string | null;
  readonly issuedAt: string | null;
  readonly ageSeconds: number | null;
  readonly scopes: readonly string[];
  /** Taken until then. */
  readonly predecessors: readonly { readonly fingerprint: string; readonly acceptedUntil: string }[];
  /** Why it cannot be used; null where it can. */
  readonly problem: string | null;
}

/** `lab token …`: the planes' tokens by their fingerprints; the tokens themselves are never shown, nor taken as arguments. */
export function tokenCommand(io: CliIo): Command {
  const command = new Command("token").description("the tokens of the two planes, by their fingerprints");
  withCommon(command.command("show").argument("[plane]", PLANES.join(" or "), plane))
    .description("which token is in force, since when, and which predecessors are still taken")
    .action((only: Plane | undefined, flags: Common) => show(only, flags, io));
  withCommon(command.command("rotate").argument("<plane>", PLANES.join(" or "), plane))
    .description("a new token, the first one too; the old one is taken until its grace is over")
    .option("--grace <seconds>", "0 ends all predecessors at once: for a token that leaked", seconds)
    .action((of: Plane, flags: RotateFlags) => rotate(of, flags, io));
  withCommon(command.command("revoke").argument("<plane>", PLANES.join(" or "), plane))
    .description("lock the plane out, without grace, until the next rotate")
    .option("--yes", "do not ask")
    .action((of: Plane, flags: Common & { yes?: true }) => revoke(of, flags, io));
  return command;
}

async function show(only: Plane | undefined, flags: Common, io: CliIo): Promise<void> {
  const settings = settingsOf(flags, io);
  const views = await Promise.all(PLANES.filter((one) => only === undefined || one === only).map(read));
  if (flags.json) return io.out(`${JSON.stringify(views)}\n`);
  for (const view of views) io.out(viewText(view));

  async function read(of: Plane): Promise<TokenView> {
    const provider = tokenProvider(settings, of, io.deps);
    try {
      return viewOf(of, provider.name, await provider.fetch(of, io.signal), io);
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      return { ...viewOf(of, provider.name, null, io), problem: error.message };
    }
  }
}

async function rotate(of: Plane, flags: RotateFlags, io: CliIo): Promise<void> {
  const settings = settingsOf(flags, io);
  const provider = tokenProvider(settings, of, io.deps);
  const graceMs = flags.grace === undefined ? settings.tokenGraceMs : flags.grace * 1_000;
  const entry = await rotateToken(provider, of, { graceMs }, io.deps, io.signal);
  const view = viewOf(of, provider.name, { ...entry, version: null }, io);
  if (flags.json) return io.out(`${JSON.stringify(view)}\n`);
  io.out(viewText(view));
  io.err(
    "programs that are running find it by themselves: with the first request that is signed with it, or in a minute\n",
  );
}

async function revoke(of: Plane, flags: Common & { readonly yes?: true }, io: CliIo): Promise<void> {
  const provider = tokenProvider(settingsOf(flags, io), of, io.deps);
  if (flags.yes !== true) {
    const answer = await io.ask(`${of} is locked out at once, until \`lab token rotate ${of}\`. Type its name: `);
    if (answer === null) throw new HarnessError("usage", "nobody is here to be asked: --yes does without");
    if (answer.trim() !== of) throw new HarnessError("usage", "left as it is");
  }
  await provider.remove(of, io.signal);
  if (flags.json) return io.out(`${JSON.stringify(viewOf(of, provider.name, null, io))}\n`);
  io.out(`${of}: no token; programs that are running refuse it within a minute\n`);
}

function settingsOf({ config }: Common, io: CliIo): ControlSettings {
  return readSettings({ env: io.env, flags: { config } }).settings;
}

function viewOf(of: Plane, provider: string, stored: StoredToken | null, io: CliIo): TokenView {
  const now = io.deps.clock.now();
  const current = stored?.current;
  return {
    plane: of,
    provider,
    fingerprint: current === undefined ? null : fingerprintOf(current.token),
    issuedAt: current === undefined ? null : isoTime(current.issuedAt),
    ageSeconds: current === undefined ? null : Math.max(0, Math.round((now - current.issuedAt) / 1_000)),
    scopes: current?.scopes ?? [],
    predecessors: (stored?.previous ?? [])
      .filter(({ acceptedUntil }) => acceptedUntil > now)
      .map(({ token, acceptedUntil }) => ({
        fingerprint: fingerprintOf(token),
        acceptedUntil: isoTime(acceptedUntil),
      })),
    problem: null,
  };
}

function viewText({ plane: of, provider, fingerprint, issuedAt, scopes, predecessors, problem }: TokenView): string {
  if (problem !== null) return `${of}: cannot be used: ${problem}\n`;
  if (fingerprint === null) return `${of}: no token in ${provider}; \`lab token rotate ${of}\` makes one\n`;
  const lines = [
    `${of}: ${fingerprint} since ${issuedAt} (${provider})`,
    `  may: ${scopes.join(" ")}`,
    ...predecessors.map((one) => `  predecessor ${one.fingerprint} is taken until ${one.acceptedUntil}`),
  ];
  return `${lines.join("\n")}\n`;
}

function withCommon(command: Command): Command {
  return command.option("--config <file>", "another config file").option("--json", "machine-readable");
}

function plane(text: string): Plane {
  const found = PLANES.find((one) => one === text);
  if (found === undefined) throw new InvalidArgumentError(`It is ${PLANES.join(" or ")}.`);
  return found;
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0 || value > 86_400)
    throw new InvalidArgumentError("Seconds, from 0 to 86400.");
  return value;
}
