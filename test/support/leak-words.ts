import { resolve } from "node:path";
import { scenarios } from "../../scenarios/index.ts";

const names = scenarios.flatMap(({ id }) => [id, id.split("/").at(-1) ?? id]);

/** Words that would tell an operator that it is being tried, and the scenarios' names: for `grep -wiE`. */
export const FORBIDDEN_WORDS = ["lab|chaos|fault|scenario|trial|inject|nemesis|seed|stand-in", ...names].join("|");
export const FORBIDDEN = new RegExp(`\\b(${FORBIDDEN_WORDS})\\b`, "i");

/** Where this repository is on this machine. */
export const REPOSITORY = resolve(import.meta.dirname, "../..");

/** Names of ours. That our images run on Node can be seen from inside them; what they are for cannot. */
const OURS = /agent-lab|strip-types|tikv\/stand-in|harness\/|io\.operator\./i;

/** Not a leak: one of the three endings that every operator is offered. */
const ENDING = /\bno-fault\b/g;

/** Something that an operator gets to see, and where. */
export interface Told {
  readonly where: string;
  readonly text: string;
}

/** What says too much, with what stands around it. `secrets` are texts that must not be told either, such as paths. */
export function leaksIn(told: readonly Told[], secrets: readonly string[] = []): readonly string[] {
  return told.flatMap(({ where, text: all }) => {
    const text = all.replaceAll(ENDING, "");
    const found = [
      ...[FORBIDDEN, OURS].map((pattern) => pattern.exec(text)?.index ?? -1),
      ...[REPOSITORY, ...secrets].map((secret) => text.indexOf(secret)),
    ];
    return found
      .filter((index) => index >= 0)
      .map((index) => `${where}: …${text.slice(Math.max(0, index - 80), index + 80)}…`);
  });
}
