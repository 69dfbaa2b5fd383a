import { PLANES, type Plane } from "../control/planes.ts";

/** Outcomes of commands that are no failure. */
const FINE = new Set(["ok", "success"]);

/** Failed and refused commands of each plane since the control server began, out of its `/metrics`. */
export function failuresOf(metrics: string): Readonly<Record<Plane, number>> {
  const totals = Object.fromEntries(PLANES.map((plane) => [plane, 0])) as Record<Plane, number>;
  for (const [, text = "", value = ""] of metrics.matchAll(/^\w*commands_total\{([^}]*)\} ([0-9.e+]+)/gm)) {
    const labels = Object.fromEntries(
      [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = "", label = ""]) => [name, label]),
    );
    const plane = PLANES.find((one) => one === labels["plane"]);
    if (plane !== undefined && !FINE.has(labels["outcome"] ?? "")) totals[plane] += Number(value);
  }
  return totals;
}
