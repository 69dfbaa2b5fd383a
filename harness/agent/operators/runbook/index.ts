import { z } from "zod";
import type { Clock, Operator, OperatorContext, OperatorResult } from "../../../protocol.ts";
import { noUsage } from "../../limits.ts";
import { expected, fits } from "./match.ts";
import type { Runbook, Step } from "./schema.ts";

const listed = z.array(z.looseObject({ component: z.string(), status: z.string() }));
type Row = z.output<typeof listed>[number];

/** How often a step that may take a while is asked again. */
const ASK_EVERY_MS = 500;
/** Repairs in one session: a cluster of which more is broken needs a person. */
const MAX_REPAIRS = 4;

interface Found {
  readonly runbook: Runbook;
  /** Null for a runbook about the whole cluster. */
  readonly component: string | null;
  readonly seen: readonly string[];
}

/**
 * Follows written procedures and nothing else: the first whose symptom and checks fit is carried out, then the cluster
 * is looked at again. What no procedure describes is escalated untouched. Deterministic: the same answers give the same
 * calls.
 */
export function runbook(books: readonly Runbook[], { clock }: { readonly clock: Clock }): Operator {
  return {
    name: "runbook",
    scripted: true,
    details: { runbooks: books.map((book) => book.runbook).join(" ") },
    work: (context, signal) => new Session(books, context, clock, signal).work(),
  };
}

class Session {
  readonly #books: readonly Runbook[];
  readonly #context: OperatorContext;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #repaired: Found[] = [];

  constructor(books: readonly Runbook[], context: OperatorContext, clock: Clock, signal: AbortSignal) {
    this.#books = books;
    this.#context = context;
    this.#clock = clock;
    this.#signal = signal;
  }

  async work(): Promise<OperatorResult> {
    for (;;) {
      const found = await this.#find();
      if (found === null) return await this.#submit(nothingFits, "escalated", this.#reported(), ["no runbook fits"]);
      const { runbook: book, component, seen } = found;
      this.#context.say(`runbook ${book.runbook}${component === null ? "" : ` on ${component}`}: ${book.title}`);
      const { cause, ending, explanation } = book.diagnosis;
      const diagnosis = { cause, explanation: fill(explanation, component) };
      const components = component === null ? [] : [component];
      if (ending === "escalated") return await this.#submit(diagnosis, "escalated", components, seen);
      if (ending === "no-fault") return await this.#well(found);
      // The runbook's own explanation tells of a repair: said only where there was one.
      const given = (why: string, evidence = seen) => {
        const about = component === null ? book.title : `${component}: ${book.title}`;
        return this.#submit(
          { cause, explanation: `${about}. Not repaired: ${why}` },
          "escalated",
          components,
          evidence,
        );
      };
      if (this.#context.mode === "observe") return await given("nothing may be changed in observe mode.");
      if (this.#isRepaired(found)) return await given("it was, and is there again.");
      if (this.#repaired.length >= MAX_REPAIRS) return await given(`${MAX_REPAIRS} repairs are the limit.`);
      await this.#hypothesis(cause, components);
      const trouble = await this.#repair(book, component);
      this.#repaired.push(found);
      if (trouble !== null) return await given(trouble.slice(0, 1_000), [...seen, trouble]);
    }
  }

  /** The first runbook that fits, tried on the components that the tickets name before all others. */
  async #find(): Promise<Found | null> {
    const list = await this.#call("container_list", {}, "which containers are there, and in which state?");
    const rows = list.isError ? [] : listed.parse(JSON.parse(list.text));
    const named = this.#reported();
    const ordered = [
      ...rows.filter((row) => named.includes(row.component)),
      ...rows.filter((row) => !named.includes(row.component)),
    ];
    for (const book of this.#books) {
      const { scope, roles, container } = book.symptom;
      const targets: readonly (Row | null)[] =
        scope === "cluster"
          ? [null]
          : ordered.filter(
              (row) =>
                (roles === undefined || roles.some((role) => row.component.startsWith(role))) &&
                (container === undefined || fits(row, container)),
            );
      for (const row of targets) {
        const component = row?.component ?? null;
        const seen = row === null ? [] : [`container_list: ${JSON.stringify(row)}`];
        const checked = await this.#all(book.checks, component, seen);
        if (checked) return { runbook: book, component, seen };
      }
    }
    return null;
  }

  /** Nothing is wrong any more, or never was: what that means depends on whether something was repaired before. */
  async #well({ runbook: book, component, seen }: Found): Promise<OperatorResult> {
    const [first] = this.#repaired;
    if (first === undefined) {
      const { cause, explanation } = book.diagnosis;
      const diagnosis = { cause, explanation: fill(explanation, component) };
      return await this.#submit(diagnosis, "no-fault", component === null ? [] : [component], seen);
    }
    const { cause } = first.runbook.diagnosis;
    const explanation = this.#repaired
      .map((found) => fill(found.runbook.diagnosis.explanation, found.component))
      .join(" ");
    return await this.#submit({ cause, explanation }, "resolved", this.#components(), [
      ...this.#repaired.flatMap((found) => found.seen),
      ...seen,
    ]);
  }

  /** Null when it is done and verified; else what went wrong. */
  async #repair(book: Runbook, component: string | null): Promise<string | null> {
    for (const step of book.action) {
      const answer = await this.#call(step.tool, fillAll(step.input, component), fill(step.why, component));
      if (!expected(step, answer)) return `${step.tool} was not done: ${answer.text}`;
    }
    const evidence: string[] = [];
    if (await this.#all(book.verify, component, evidence)) return null;
    return `not verified after the repair: ${evidence.at(-1) ?? "no check was made"}`;
  }

  /** True when every step's answer is as expected. What was seen is added either way. */
  async #all(steps: readonly Step[], component: string | null, seen: string[]): Promise<boolean> {
    for (const step of steps) if (!(await this.#holds(step, component, seen))) return false;
    return true;
  }

  async #holds(step: Step, component: string | null, seen: string[]): Promise<boolean> {
    const deadline = this.#clock.monotonic() + (step.within_seconds ?? 0) * 1_000;
    for (;;) {
      const answer = await this.#call(step.tool, fillAll(step.input, component), fill(step.why, component));
      const ok = expected(step, answer);
      if (ok || this.#clock.monotonic() + ASK_EVERY_MS > deadline) {
        seen.push(`${step.tool}: ${answer.text.slice(0, 600)}`);
        return ok;
      }
      await this.#clock.sleep(ASK_EVERY_MS, this.#signal);
    }
  }

  #call(tool: string, input: Record<string, unknown>, reason: string) {
    return this.#context.call(tool, { ...input, reason }, this.#signal);
  }

  async #hypothesis(cause: string, components: readonly string[]): Promise<void> {
    await this.#call("hypothesis", { cause, components, confidence: 0.9 }, "a runbook's symptom and checks fit");
  }

  /** The same repair twice did not help the first time. */
  #isRepaired(found: Found): boolean {
    return this.#repaired.some(
      (before) => before.runbook.runbook === found.runbook.runbook && before.component === found.component,
    );
  }

  #components(): readonly string[] {
    return [...new Set(this.#repaired.flatMap(({ component }) => (component === null ? [] : [component])))];
  }

  #reported(): readonly string[] {
    return [
      ...new Set(this.#context.incident.tickets.flatMap(({ component }) => (component === null ? [] : [component]))),
    ];
  }

  async #submit(
    { cause, explanation }: { readonly cause: string; readonly explanation: string },
    ending: "resolved" | "no-fault" | "escalated",
    components: readonly string[],
    seen: readonly string[],
  ): Promise<OperatorResult> {
    if (this.#repaired.length === 0) await this.#hypothesis(cause, components);
    const done = this.#repaired.map(
      ({ runbook: book, component }) => `${book.runbook} on ${component ?? "the cluster"}`,
    );
    const answer = await this.#call(
      "submit_diagnosis",
      {
        cause,
        components,
        explanation,
        evidence:
          seen.length === 0 ? ["nothing else was looked at"] : seen.slice(-10).map((text) => text.slice(0, 900)),
        done: done.length === 0 ? "nothing" : `followed ${done.join(", ")}`,
        ending,
      },
      "the runbooks have been followed to their end",
    );
    if (answer.isError)
      return { ending: "failed", reason: `no diagnosis: ${answer.text}`, diagnosis: null, usage: noUsage };
    return { ending, reason: explanation, diagnosis: this.#context.submitted(), usage: noUsage };
  }
}

const nothingFits = {
  cause: "other",
  explanation: "No runbook describes what was found; nothing was changed for this.",
} as const;

function fill(text: string, component: string | null): string {
  return text.replaceAll("$component", component ?? "the cluster");
}

function fillAll(value: Record<string, unknown>, component: string | null): Record<string, unknown> {
  const place = (inner: unknown): unknown => {
    if (typeof inner === "string") return component === null ? inner : inner.replaceAll("$component", component);
    if (Array.isArray(inner)) return inner.map(place);
    if (inner !== null && typeof inner === "object")
      return Object.fromEntries(Object.entries(inner).map(([key, field]) => [key, place(field)]));
    return inner;
  };
  return place(value) as Record<string, unknown>;
}
