import type { TrialEvent } from "../protocol.ts";

/**
 * Leaves out what an operator does again with the same outcome, as when it waits for something: the first time is
 * shown, then nothing until something else is done or comes back. The record keeps everything.
 */
export function withoutRepeats(show: (event: TrialEvent) => void): (event: TrialEvent) => void {
  let call: string | null = null;
  let result: string | null = null;
  let held: TrialEvent | null = null;
  return (event) => {
    if (event.type !== "step" || event.kind === "reasoning") {
      show(event);
      return;
    }
    if (event.kind === "call") {
      if (event.text === call) {
        held = event;
        return;
      }
      [call, result, held] = [event.text, null, null];
      show(event);
      return;
    }
    if (held !== null && event.text === result) return;
    if (held !== null) show(held);
    held = null;
    result = event.text;
    show(event);
  };
}
