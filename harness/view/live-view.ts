import { createLogUpdate } from "log-update";
import type { Clock, TrialEvent } from "../protocol.ts";
import { Screen, type ScreenHead } from "./screen.ts";

const MIN_COLUMNS = 60;
const MIN_ROWS = 18;
/** Fifteen pictures a second look alive; more only cost. */
const FRAME_MS = 66;

export interface View extends AsyncDisposable {
  show(event: TrialEvent): void;
}

/** True where a live picture can be drawn: a terminal that is large enough. */
export function canDraw(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && stream.columns >= MIN_COLUMNS && stream.rows >= MIN_ROWS;
}

/** Redraws the same lines until disposed; the last picture stays. */
export function liveView(head: ScreenHead, stream: NodeJS.WriteStream, clock: Clock): View {
  const screen = new Screen(head);
  const update = createLogUpdate(stream);
  const stopped = new AbortController();
  const draw = () => update(screen.draw(stream.columns, stream.rows));
  const frames = (async () => {
    while (!stopped.signal.aborted) {
      draw();
      await clock.sleep(FRAME_MS, stopped.signal).catch(() => {});
    }
  })();
  return {
    show: (event) => screen.take(event),
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await frames;
      draw();
      update.done();
    },
  };
}
