import type { Effect } from "../protocol.ts";

type Rule = (args: readonly string[]) => boolean;

const any: Rule = () => true;
const none: Rule = (args) => args.length === 0;
/** Only flags of the given letters, and operands. */
const flags =
  (letters: string): Rule =>
  (args) =>
    args.every((arg) => !arg.startsWith("-") || new RegExp(`^-[${letters}0-9]+$`).test(arg));

/**
 * The words of a command line. Null where a flag is none of those named: whether it takes the next word is not known
 * then, and what looks like the command may be its value (`--cert config --key show store delete 1`, `-du config`).
 */
function words(
  args: readonly string[],
  { valued, alone }: { readonly valued: readonly string[]; readonly alone: RegExp },
): readonly string[] | null {
  const found: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (valued.includes(arg)) at++;
    else if (!arg.startsWith("-")) found.push(arg);
    else if (!alone.test(arg) && !valued.includes(/^(--[a-z-]+)=/.exec(arg)?.[1] ?? "")) return null;
  }
  return found;
}

/** Flags of `pd-ctl` (tools/pd-ctl/pdctl/ctl.go) and `tikv-ctl` (cmd/tikv-ctl/src/cmd.rs), as far as reading needs them. */
const PD_CTL = { valued: ["-u", "--pd"], alone: /^--jq=/ };
const TIKV_CTL = { valued: ["--host", "--pd", "--data-dir", "--config", "--log-level", "-r"], alone: /^$/ };

const pdCtl: Rule = (args) => {
  const said = words(args, PD_CTL);
  if (said === null) return false;
  const [noun = "", verb, ...rest] = said;
  if (["health", "cluster", "ping", "min-resolved-ts"].includes(noun)) return verb === undefined;
  if (["config", "scheduler", "operator"].includes(noun)) return verb === "show";
  if (noun === "hot") return ["read", "write", "store"].includes(verb ?? "");
  if (noun === "member") return verb === undefined || (verb === "leader" && rest.join(" ") === "show");
  if (noun === "region" && ["topread", "topwrite", "check", "store"].includes(verb ?? "")) return true;
  if (noun === "store" && verb === "check") return true;
  return ["store", "region"].includes(noun) && rest.length === 0 && /^\d*$/.test(verb ?? "");
};

const tikvCtl: Rule = (args) => {
  const said = words(args, TIKV_CTL);
  if (said === null) return false;
  const [command = "", part] = said;
  if (command === "raft") return part === "region";
  return ["size", "metrics", "region-properties", "store", "cluster"].includes(command);
};

/** Just fetches of an address within the subject: no name with a dot, which is somewhere else, and no pattern of many. */
const curl: Rule = (args) =>
  args.length > 0 &&
  args.every(
    (arg, index) =>
      /^-[fsSv]+$/.test(arg) ||
      arg === "-m" ||
      (/^\d{1,3}$/.test(arg) && args[index - 1] === "-m") ||
      /^https?:\/\/(\[::1\]|127(\.\d{1,3}){3}|(?=[^/:]*[a-z])[a-z0-9-]+)(:\d{1,5})?(\/[^\s@{}[\]\\]*)?$/.test(arg),
  );

/** Where a system keeps its programs, and where the images of the subject keep theirs. A file elsewhere may be anything. */
const PROGRAM = /^(?:(?:\/usr(?:\/local)?)?\/s?bin\/|\/(?=(?:pd|tikv)-ctl$))?([a-z][a-z0-9._-]*)$/;

/** Programs that are known to only look, each with what its arguments must satisfy. */
const READS: Readonly<Record<string, Rule>> = {
  cat: flags("nAbetv"),
  ls: flags("lahtrSRd"),
  df: flags("hiTkm"),
  du: flags("hsckmd"),
  head: flags("nc"),
  tail: flags("nc"),
  wc: flags("lcw"),
  grep: flags("ivncEFrowABC"),
  stat: any,
  uptime: none,
  free: flags("hmgk"),
  ps: any,
  id: none,
  hostname: none,
  uname: flags("a"),
  date: (args) => args.every((arg) => arg === "-u" || arg.startsWith("+")),
  getent: (args) => args[0] === "hosts",
  nslookup: flags(""),
  dig: (args) => args.every((arg) => !arg.startsWith("-") && !arg.startsWith("@")),
  ip: (args) => ["addr", "route", "link", "neigh"].includes(args[0] ?? "") && [undefined, "show"].includes(args[1]),
  iptables: (args) => args.length > 0 && args.every((arg) => ["-S", "-L", "-n", "-v", "-nvL"].includes(arg)),
  tc: (args) => args[0] === "qdisc" && args[1] === "show",
  curl: curl,
  "pd-ctl": pdCtl,
  "tikv-ctl": tikvCtl,
};

/** What an argv does. A program or an argument that no rule lists is destructive, every shell included. */
export function execEffect(argv: readonly string[]): Effect {
  const [program = "", ...args] = argv;
  const name = PROGRAM.exec(program)?.[1] ?? "";
  // Own keys only: an operator may name anything, "__proto__" too.
  const rule = Object.hasOwn(READS, name) ? READS[name] : undefined;
  return rule?.(args) === true ? "read" : "destructive";
}
