import { changed, labelValue, type Labels } from "../labels.ts";
import { anchoredRegex, type AnchoredRegex } from "../regex.ts";
import { QueryError } from "./errors.ts";
import { distinct, type StepSeries } from "./grid.ts";

/** Functions of series' labels alone, by name: their texts -> what becomes of a label set. @throws QueryError */
export const labelFunctions: Readonly<Record<string, (texts: readonly string[]) => (labels: Labels) => Labels>> = {
  label_replace: ([target = "", replacement = "", source = "", pattern = ""]) => {
    let regex: AnchoredRegex;
    try {
      regex = anchoredRegex(pattern);
    } catch {
      throw new QueryError("execution", `invalid regular expression in label_replace(): ${pattern}`);
    }
    if (!isLabelName(target)) throw invalid("destination", "label_replace", target);
    return (labels) => {
      const value = regex.expand(labelValue(labels, source), replacement);
      return value === null ? labels : changed(labels, { [target]: value });
    };
  },
  label_join: ([target = "", separator = "", ...sources]) => {
    const wrong = sources.find((source) => !isLabelName(source));
    if (wrong !== undefined) throw invalid("source", "label_join", wrong);
    if (!isLabelName(target)) throw invalid("destination", "label_join", target);
    return (labels) =>
      changed(labels, { [target]: sources.map((source) => labelValue(labels, source)).join(separator) });
  },
};

/** @throws QueryError when two series come out with the same labels */
export function relabelled(list: readonly StepSeries[], change: (labels: Labels) => Labels): readonly StepSeries[] {
  return distinct(list.map((series) => ({ ...series, labels: change(series.labels) })));
}

/** Any text that is UTF-8; what was not has been replaced by this. */
function isLabelName(name: string): boolean {
  return name !== "" && !name.includes("\ufffd");
}

function invalid(which: string, name: string, label: string): QueryError {
  return new QueryError("execution", `invalid ${which} label name in ${name}(): ${label}`);
}
