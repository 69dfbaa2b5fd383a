import { z } from "zod";

/** What is written about an instance in `<state root>/instances/<id>/instance.json`, for later commands and for sweeps. */
export const instanceRecordSchema = z.strictObject({
  version: z.literal(1),
  id: z.string(),
  kind: z.enum(["process", "docker"]),
  subject: z.string(),
  project: z.string(),
  network: z.string(),
  createdAt: z.string(),
  /** Kept when its owner ends (`lab subject up`). */
  detached: z.boolean(),
  timeFactor: z.number(),
  /** Only of `process`: where the supervisor listens. */
  sockets: z.strictObject({ engine: z.string(), owner: z.string() }).nullable(),
  components: z.array(z.strictObject({ component: z.string(), role: z.string() })),
  /** What the subject's adapter needs to open it again. */
  subjectData: z.record(z.string(), z.unknown()),
});

export type InstanceRecord = z.output<typeof instanceRecordSchema>;
