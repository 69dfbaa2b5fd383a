import { z } from "zod";
import { isoTime, type EpochMs } from "../../base/clock.ts";
import { DEFAULT_SCOPES, type Plane } from "../planes.ts";
import { checkToken, weaknessOf } from "./new-token.ts";
import { TokenError, type TokenEntry } from "./types.ts";

/**
 * An entry as files and Vault keep it. Only `token` has to be there, so that what others wrote
 * (`vault kv put … token=…`) is understood. Fields of others are left alone.
 */
const schema = z.object({
  token: z.string(),
  scopes: z.array(z.string()).optional(),
  issued_at: z.iso.datetime({ offset: true }).optional(),
  previous: z
    .array(
      z.object({
        token: z.string(),
        scopes: z.array(z.string()),
        issued_at: z.iso.datetime({ offset: true }),
        accepted_until: z.iso.datetime({ offset: true }),
      }),
    )
    .optional(),
});

export type EntryData = z.input<typeof schema>;

/**
 * @param where names file or path for messages.
 * @param seenAt stands in for a date of issue that nobody wrote.
 * @throws TokenError `malformed`, `weak`; neither shows what was read.
 */
export function parseEntry(
  data: unknown,
  { plane, where, seenAt }: { readonly plane: Plane; readonly where: string; readonly seenAt: EpochMs },
): TokenEntry {
  const read = schema.safeParse(data);
  if (!read.success) {
    const { path, code } = read.error.issues[0] ?? { path: [], code: "unknown" };
    throw new TokenError("malformed", `${where} is not a token's record: ${path.join(".") || "the whole"} (${code})`);
  }
  const { token, scopes, issued_at: issued, previous } = read.data;
  checkToken(token, `the token in ${where}`);
  return {
    current: {
      token,
      scopes: scopes ?? DEFAULT_SCOPES[plane],
      issuedAt: issued === undefined ? seenAt : epoch(issued),
    },
    // One that is no secret (an empty one signs for anybody) is left out rather than taken to the end of its grace.
    previous:
      previous
        ?.filter((one) => weaknessOf(one.token) === null)
        .map((one) => ({
          token: one.token,
          scopes: one.scopes,
          issuedAt: epoch(one.issued_at),
          acceptedUntil: epoch(one.accepted_until),
        })) ?? null,
  };
}

export function entryData({ current, previous }: TokenEntry): EntryData {
  return {
    token: current.token,
    scopes: [...current.scopes],
    issued_at: isoTime(current.issuedAt),
    previous: (previous ?? []).map((one) => ({
      token: one.token,
      scopes: [...one.scopes],
      issued_at: isoTime(one.issuedAt),
      accepted_until: isoTime(one.acceptedUntil),
    })),
  };
}

const epoch = (text: string): EpochMs => Date.parse(text) as EpochMs;
