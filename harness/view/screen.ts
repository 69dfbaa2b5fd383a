import { styleText } from "node:util";
import type { TrialEvent } from "../protocol.ts";
import { stamp } from "./plain-lines.ts";
import { sparkline } from "./sparkline.ts";

const HISTORY = 200;
const STEPS_KEPT = 100;
/** Calls that change something stay in sight while the others scroll away. */
const ACTS_KEPT = 2;

export interface ScreenHead {
  readonly title: string;
  readonly scenario: string;
  readonly seed: number;
  readonly notice: string | null;
}

/** What the live view shows, folded from events. `draw` is pure text: the terminal is somebody else's. */
export class Screen {
  readonly #head: ScreenHead;
  #nodes: Extract<TrialEvent, { type: "cluster" }>["nodes"] = [];
  readonly #success: (number | null)[] = [];
  readonly #p99: (number | null)[] = [];
  #perSecond = 0;
  #phase = "";
  #sinceMs: number | null = null;
  readonly #tickets = new Map<number, { text: string; resolved: boolean }>();
  readonly #steps: string[] = [];
  readonly #acts: string[] = [];
  #broke: string | null = null;

  constructor(head: ScreenHead) {
    this.#head = head;
  }

  /** Folds one event in. */
  take(event: TrialEvent): void {
    this.#sinceMs = event.sinceMs ?? this.#sinceMs;
    switch (event.type) {
      case "phase":
      case "notice":
        this.#phase = event.text;
        return;
      case "cluster":
        this.#nodes = event.nodes;
        return;
      case "clients":
        push(this.#success, event.okRatio);
        push(this.#p99, event.p99Ms);
        this.#perSecond = event.perSecond;
        return;
      case "broke":
        this.#broke = `${event.target}: ${event.label}`;
        return;
      case "ticket":
        this.#tickets.set(event.id, { text: `#${event.id} ${event.severity}: ${event.message}`, resolved: false });
        return;
      case "ticket-resolved": {
        const ticket = this.#tickets.get(event.id);
        if (ticket !== undefined) ticket.resolved = true;
        return;
      }
      case "step":
        if (event.kind === "call" && event.effect !== null && event.effect !== "read")
          push(this.#acts, `${stamp(event.sinceMs).trim()}: ${event.text}`, ACTS_KEPT);
        this.#step(event.sinceMs, `${event.kind === "result" ? "  -> " : ""}${event.text.split("\n")[0] ?? ""}`);
        return;
      case "operator-ended":
        this.#step(event.sinceMs, `ended: ${event.ending}`);
        return;
      case "recovered":
        this.#phase = "the steady state holds again";
        return;
      case "stable":
        this.#phase = "stable";
    }
  }

  draw(columns: number, rows: number): string {
    const inner = columns - 12;
    const fixed = [
      bold(fit(`${this.#head.title}  ${this.#head.scenario}  seed ${this.#head.seed}`, columns)),
      ...(this.#head.notice === null ? [] : [styleText("dim", fit(this.#head.notice, columns))]),
      "",
      ...this.#nodeLines(inner),
      ...this.#clientLines(inner),
      ...this.#ticketLines(inner),
    ];
    const foot = [
      "",
      fit(`${stamp(this.#sinceMs)}  ${this.#phase}`, columns),
      styleText("dim", fit("Ctrl-C heals, stops everything and says so", columns)),
    ];
    const room = Math.max(2, rows - fixed.length - foot.length - 2);
    const steps = this.#steps.slice(-room).map((step, index) => label(index === 0 ? "operator" : "", fit(step, inner)));
    return [
      ...fixed,
      ...(steps.length === 0 ? [label("operator", styleText("dim", "waits for a ticket"))] : steps),
      ...foot,
    ].join("\n");
  }

  #step(sinceMs: number | null, text: string): void {
    push(this.#steps, `${stamp(sinceMs)}  ${text}`, STEPS_KEPT);
  }

  #nodeLines(inner: number): string[] {
    const cells = this.#nodes.map(({ component, status, leaders }) => {
      const well = status === "running";
      const detail = well ? (leaders === null ? "" : ` ${leaders} leaders`) : ` ${status}`;
      const text = `${well ? "●" : "○"} ${component}${detail}`.padEnd(22);
      return well ? styleText("green", text) : styleText("red", text);
    });
    const perLine = Math.max(1, Math.floor(inner / 22));
    const lines: string[] = [];
    for (let at = 0; at < cells.length; at += perLine)
      lines.push(label(at === 0 ? "cluster" : "", cells.slice(at, at + perLine).join("")));
    if (this.#broke !== null) lines.push(label("broke", styleText("red", fit(this.#broke, inner))));
    return lines;
  }

  #clientLines(inner: number): string[] {
    const width = Math.max(10, inner - 24);
    const success = this.#success.at(-1) ?? null;
    const p99 = this.#p99.at(-1) ?? null;
    const worst = Math.max(50, ...this.#p99.slice(-width).map((value) => value ?? 0));
    const percent = success === null ? "-" : `${(success * 100).toFixed(1)} %`;
    return [
      "",
      label("clients", `${sparkline(this.#success, width, 0, 1)}  ok ${percent}, ${Math.round(this.#perSecond)}/s`),
      label("", `${sparkline(this.#p99, width, 0, worst)}  p99 ${p99 === null ? "-" : `${Math.round(p99)} ms`}`),
      "",
    ];
  }

  #ticketLines(inner: number): string[] {
    const lines = [...this.#tickets.values()]
      .slice(-3)
      .map(({ text, resolved }, index) =>
        label(
          index === 0 ? "ticket" : "",
          styleText(resolved ? "green" : "yellow", fit(`${text}${resolved ? " - resolved" : ""}`, inner)),
        ),
      );
    const acts = this.#acts.map((act, index) => label(index === 0 ? "acted" : "", styleText("cyan", fit(act, inner))));
    return [...(lines.length === 0 ? [label("ticket", styleText("dim", "none"))] : lines), ...acts];
  }
}

function push<T>(list: T[], value: T, most = HISTORY): void {
  list.push(value);
  if (list.length > most) list.shift();
}

const bold = (text: string): string => styleText("bold", text);
const label = (name: string, text: string): string => `${styleText("dim", name.padEnd(10))}${text}`;
const fit = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, Math.max(1, width - 1))}…` : text;
