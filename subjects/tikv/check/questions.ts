import { isAnswer, type Answer, type Recording } from "./recording.ts";

export interface Question {
  /** As it was asked when it was recorded. */
  readonly path: string;
  readonly wanted: Answer;
}

/** Ids of the cluster that is asked now, for those in the recorded paths. */
export interface LiveIds {
  readonly store: string;
}

/** Recorded region 2 is one that does not exist; anywhere else it may. */
const UNKNOWN_REGION = "9007199254740991";

/** What one member was asked and answered, in order. */
export function questionsOf(recording: Recording, member: string): Question[] {
  return Object.entries(recording.answers[member] ?? {}).flatMap(([path, wanted]) =>
    isAnswer(wanted) ? [{ path, wanted }] : [],
  );
}

/** The same question to another cluster. */
export function liveQuestion(path: string, ids: LiveIds): string {
  return path.replace(/\/store\/1$/, `/store/${ids.store}`).replace(/\/region\/id\/2$/, `/region/id/${UNKNOWN_REGION}`);
}

/** Who led when a recording was made: what its members said. */
export function recordedLeader(recording: Recording): string | null {
  for (const answers of Object.values(recording.answers)) {
    const said = answers["/pd/api/v1/leader"];
    if (said !== undefined && isAnswer(said) && said.status === 200)
      return (JSON.parse(said.body) as { name: string }).name;
  }
  return null;
}
