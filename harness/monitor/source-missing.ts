import type { Component, Invariant, Observation } from "../protocol.ts";

/**
 * Every source that the subject is configured with gives data. Without this a monitor that sees nothing would report
 * nothing. The component is the source's name.
 */
export function sourceMissing(timeFactor: number): Invariant {
  return {
    name: "source_missing",
    description: "every configured source of observations answers",
    graceMs: 30_000 * timeFactor,
    clearMs: 10_000 * timeFactor,
    windowMs: 0,
    judge: (window) =>
      Object.entries(window.at(-1)?.sources ?? ({} as Observation["sources"])).map(([name, reading]) => {
        const component = name as Component;
        if (reading.ok) return { state: "held", component };
        const message = `the monitor gets no data from ${name}: ${reading.why}`;
        return { state: "violated", component, severity: "warning", message, evidence: { why: reading.why } };
      }),
  };
}
