import { parseArgs } from "node:util";
import { ConfigError, errorText } from "./errors.ts";

/** By flag, the variable of the same meaning. */
export type SettingNames<F extends string> = Readonly<Record<F, string>>;

export interface SaidSettings<F extends string> {
  /** As text, the flag's before the variable's. What was not said has no key, and an empty variable says nothing. */
  readonly raw: Readonly<Partial<Record<F, string>>>;
  /** Flags without a value, also as `--no-<flag>`; undefined = not said. */
  readonly switches: Readonly<Record<string, boolean | undefined>>;
  /** `--config <file>`. */
  readonly configFile: string | undefined;
  readonly ticketFile: string | undefined;
}

/**
 * What one of our programs was told: `[ticket file] [--<setting> <value>] [--<switch>]` and variables.
 *
 * @throws ConfigError for a flag that there is not, one without its value, and more than one file.
 */
export function saidSettings<F extends string>(
  { argv, env }: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string | undefined>> },
  names: SettingNames<F>,
  switches: readonly string[],
): SaidSettings<F> {
  const flags = Object.keys(names) as F[];
  const { values, positionals } = parsed(argv, [...flags, "config"], switches);
  if (positionals.length > 1) throw new ConfigError(`one ticket file at most, not ${positionals.join(" ")}`);
  const said = flags.flatMap((flag) => {
    const value = values[flag] ?? env[names[flag]];
    // Compose passes unset variables on as empty ones.
    return typeof value === "string" && value !== "" ? [[flag, value]] : [];
  });
  const { config } = values;
  return {
    raw: Object.fromEntries(said) as Partial<Record<F, string>>,
    switches: Object.fromEntries(
      switches.map((name) => [name, values[name] === undefined ? undefined : values[name] === true]),
    ),
    configFile: typeof config === "string" ? config : undefined,
    ticketFile: positionals[0],
  };
}

/** One sentence that names the variable. */
export function settingSentence<F extends string>(
  names: SettingNames<F>,
  issue: { readonly path: readonly PropertyKey[]; readonly message: string } | undefined,
): string {
  const flag = issue?.path[0] as F | undefined;
  const message = issue?.message ?? "invalid settings";
  return flag === undefined || message.includes(names[flag]) ? message : `${names[flag]}: ${message}`;
}

function parsed(
  argv: readonly string[],
  strings: readonly string[],
  booleans: readonly string[],
): { readonly values: Readonly<Record<string, unknown>>; readonly positionals: readonly string[] } {
  try {
    return parseArgs({
      args: [...argv],
      options: Object.fromEntries([
        ...strings.map((name) => [name, { type: "string" }] as const),
        ...booleans.map((name) => [name, { type: "boolean" }] as const),
      ]),
      allowNegative: true,
      allowPositionals: true,
    });
  } catch (error) {
    throw new ConfigError(errorText(error));
  }
}
