import { NAME, without, type Labels } from "../labels.ts";

/** What says of which metric a series is: gone once a function changed its values (model/schema: `IsMetadataLabel`). */
const METADATA = [NAME, "__type__", "__unit__"];

/** Of label sets that live as long as their series: the same one each time, whose key is then known, too. */
const nameless = new WeakMap<Labels, Labels>();

export function withoutName(labels: Labels): Labels {
  let result = nameless.get(labels);
  if (result === undefined) {
    result = METADATA.some((name) => labels[name] !== undefined) ? without(labels, METADATA) : labels;
    nameless.set(labels, result);
  }
  return result;
}
