/**
 * How values look, as text (environment, flags) or as JSON (config file). Messages complete "NAME …": one clear sentence
 * that never repeats a secret.
 */
import { z } from "zod";

const WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  "1": true,
  yes: true,
  false: false,
  "0": false,
  no: false,
};

/** true, false, 1, 0, yes, no in any case. Anything else is an error: a typing mistake must not turn a mode on or off. */
export const bool = z.unknown().transform((given, context) => {
  const word = typeof given === "string" || typeof given === "number" ? String(given).trim().toLowerCase() : given;
  const value = typeof word === "boolean" ? word : typeof word === "string" ? WORDS[word] : undefined;
  if (value !== undefined) return value;
  context.addIssue(`must be true, false, 1, 0, yes or no, not ${shown(given)}`);
  return z.NEVER;
});

/** A number, or text that is one. @param schema bounds. */
export function number(schema: z.ZodType<number>) {
  return z.unknown().transform((given, context) => {
    const value = typeof given === "string" && given.trim() !== "" ? Number(given) : given;
    const read = schema.safeParse(value);
    if (read.success) return read.data;
    context.addIssue(`must be a number that makes sense here, not ${shown(given)} (${read.error.issues[0]?.message})`);
    return z.NEVER;
  });
}

/** A part of paths and headers: nothing in it can climb out of a folder or begin another header. */
export const plainName = z
  .string({ error: "must be text" })
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, "must be letters, digits, dots, dashes and underscores, 64 at most");

/** `secret/agent`: where below Vault's `/v1/`. */
export const vaultPath = z
  .string({ error: "must be text" })
  .transform((path) => path.replace(/^\/+|\/+$/g, ""))
  .pipe(
    z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9_.-]*(\/[A-Za-z0-9][A-Za-z0-9_.-]*)*$/,
        "must be a path such as secret/agent, its first part being the mount",
      ),
  );

/** A server's address: no name and password in it, since addresses are shown. */
export const address = z.string({ error: "must be text" }).transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const why =
    url === null || !/^https?:$/.test(url.protocol)
      ? "must be an http or https URL"
      : url.username !== "" || url.password !== ""
        ? "must not carry a name or password"
        : url.search !== "" || url.hash !== ""
          ? "must end with its path"
          : null;
  if (why !== null) context.addIssue(why);
  return why === null ? text.replace(/\/+$/, "") : z.NEVER;
});

export const secret = z.string({ error: "must be text" }).regex(/^[\x21-\x7e]+$/, "must be printable, without spaces");

export const text = z.string({ error: "must be text" }).min(1, "must not be empty");

/** Only for what is no secret. */
function shown(given: unknown): string {
  return (JSON.stringify(given) ?? String(given)).slice(0, 60);
}
