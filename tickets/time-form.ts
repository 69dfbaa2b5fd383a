import { isoTime, type EpochMs } from "../harness/base/clock.ts";

/** `utc`: ours, with an explicit offset. `local`: the Python lab's `datetime.now().isoformat()`, without one. */
export type TimeForm = "utc" | "local";

/** A text time in the form that the file already uses, since Python cannot subtract one form from the other. */
export function timeText(at: EpochMs, form: TimeForm): string {
  if (form === "utc") return isoTime(at);
  const d = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  const date = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return `${date}T${time}.${String(d.getMilliseconds()).padStart(3, "0")}000`;
}

/** Reads either form; a time without offset is local, as Python means it. An unreadable one is the epoch. */
export function timeOf(text: string): EpochMs {
  const parsed = Date.parse(text.replace(" ", "T"));
  return (Number.isNaN(parsed) ? 0 : parsed) as EpochMs;
}
