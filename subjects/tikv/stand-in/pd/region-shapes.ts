import { z } from "zod";

/** What `region-file.ts` keeps. Loaded only by a member that finds such a file: zod is 5 MB and 50 ms of a start. */
export const regionShapes = z.array(
  z.strictObject({
    id: z.number(),
    startKey: z.string(),
    endKey: z.string(),
    confVer: z.number(),
    version: z.number(),
    peers: z.array(z.strictObject({ id: z.number(), storeId: z.number(), role: z.number() })),
  }),
);

export type RegionShapes = z.output<typeof regionShapes>;
