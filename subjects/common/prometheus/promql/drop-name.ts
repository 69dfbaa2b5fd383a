import { NAME, without, type Labels } from "../labels.ts";

/** What says of which metric a series is: gone once a function changed its values (model/schema: `IsMetadataLabel`). */
const METADATA = [NAME, "__type__", "__unit__"];

export function withoutName(labels: Labels): Labels {
  return METADATA.some((name) => labels[name] !== undefined) ? without(labels, METADATA) : labels;
}
