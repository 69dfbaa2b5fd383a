import { readFileSync } from "node:fs";
import { z } from "zod";

const answered = z.object({
  status: z.number(),
  contentType: z.string().nullable(),
  body: z.string(),
  /** How long the answer took. */
  ms: z.number(),
});
const unanswered = z.object({ error: z.string(), ms: z.number() });

/** What a server said, or why nothing came back. */
export type Answer = z.output<typeof answered>;
export type RecordedAnswer = Answer | z.output<typeof unanswered>;

const recordingSchema = z.object({
  server: z.string(),
  state: z.string(),
  note: z.string(),
  recordedAt: z.string(),
  /** By member, then by path; in the order in which they were asked. */
  answers: z.record(z.string(), z.record(z.string(), z.union([answered, unanswered]))),
});
export type Recording = z.output<typeof recordingSchema>;

const stepSchema = z.object({
  method: z.string(),
  path: z.string(),
  /** Sent as JSON; a string is sent as it is. */
  request: z.unknown().optional(),
  status: z.number().optional(),
  contentType: z.string().nullable().optional(),
  body: z.string().optional(),
});
export type Step = z.output<typeof stepSchema>;

const timelineEvent = z.object({
  /** Null: as it was before. */
  sinceFaultMs: z.number().nullable(),
  member: z.string().optional(),
  what: z.enum(["stores", "leader", "health", "etcdHealth"]).optional(),
  value: z.unknown().optional(),
  did: z.string().optional(),
});
const timelineSchema = z.object({ name: z.string(), note: z.string(), events: z.array(timelineEvent) });
export type TimelineEvent = z.output<typeof timelineEvent>;
export type Timeline = z.output<typeof timelineSchema>;

const FOLDER = new URL("./recordings/pd-8.5.7/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, FOLDER), "utf8");

/** Every GET of a state, through every member: `healthy`, `store-down`, ... */
export const readRecording = (name: string): Recording => recordingSchema.parse(JSON.parse(read(`${name}.json`)));

/** Changes and their replies, in order. */
export const readMutations = (): readonly Step[] =>
  z.object({ steps: z.array(stepSchema) }).parse(JSON.parse(read("mutations.json"))).steps;

/** What was seen from each member during a fault: `store-kill`, `pd-leader-pause`, ... */
export const readTimeline = (name: string): Timeline => timelineSchema.parse(JSON.parse(read(`timeline-${name}.json`)));

/** Prometheus text: `pd0` (a follower), `leader`, `leader-store-killed`. */
export const readMetrics = (name: string): string => read(`metrics-${name}.txt`);

export function isAnswer(recorded: RecordedAnswer): recorded is Answer {
  return "status" in recorded;
}
