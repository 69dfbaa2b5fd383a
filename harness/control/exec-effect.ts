import type { Effect } from "../protocol.ts";

type Rule = (args: readonly string[]) => boolean;

const any: Rule = () => true;
const none: Rule = (args) => args.length === 0;
/** Only flags of the given letters, and operands. */
const flags =
  (letters: string): Rule =>
  (args) =>
    args.every((arg) => !arg.startsWith("-") || new RegExp(`^-[${letters}0-9]+$`).test(arg));

/** The words of a command line whose flags with a value are named; other flags stand alone. */
function words(args: readonly string[], valued: readonly string[]): readonly string[] {
  return args.filter((arg, index) => !arg.startsWith("-") && !valued.includes(args[index - 1] ?? ""));
}

const pdCtl: Rule = (args) => {
  const [noun = "", verb, ...rest] = words(args, ["-u", "--pd"]);
  if (["health", "cluster", "ping", "min-resolved-ts"].includes(noun)) return verb === undefined;
  if (["config", "scheduler", "operator"].includes(noun)) return verb === "show";
  if (noun === "hot") return ["read", "write", "store"].includes(verb ?? "");
  if (noun === "member") return verb === undefined || (verb === "leader" && rest.join(" ") === "show");
  if (noun === "region" && ["topread", "topwrite", "check", "store"].includes(verb ?? "")) return true;
  if (noun === "store" && verb === "check") return true;
  return ["store", "region"].includes(noun) && rest.length === 0 && /^\d*$/.test(verb ?? "");
};

const tikvCtl: Rule = (args) => {
  const [command = "", part] = words(args, ["--host", "--pd", "--data-dir", "--config", "--log-level", "-r"]);
  if (command === "raft") return part === "region";
  return ["size", "metrics", "region-properties", "store", "cluster"].includes(command);
};

/** Just status fetches of the container's own address. */
const curl: Rule = (args) =>
  args.length > 0 &&
  args.every((arg) => /^-[fsSv]+$/.test(arg) || arg === "-m" || /^\d+$/.test(arg) || /^https?:\/\/[^\s@]+$/.test(arg));

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
  const name = program.split("/").at(-1) ?? "";
  // Own keys only: an operator may name anything, "__proto__" too.
  const rule = Object.hasOwn(READS, name) ? READS[name] : undefined;
  return rule?.(args) === true ? "read" : "destructive";
}
