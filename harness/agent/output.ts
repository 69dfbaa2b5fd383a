/** What the model gets of one call: enough for three stores or a hundred log lines, little enough to pay for. */
export const OUTPUT_CHARS = 12_000;
/** What the audit trail keeps of one call. */
export const RAW_CHARS = 1_000_000;

// Colour codes of terminals; other control characters except tab and newline count as binary.
// oxlint-disable-next-line no-control-regex
const ANSI = /\u001b\[[0-9;?]*[A-Za-z]/g;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffd]/g;

/** Head and tail kept, a marker between them: errors tend to stand at either end. */
export function boundText(text: string, limit = OUTPUT_CHARS): string {
  if (text.length <= limit) return text;
  const head = whole(text.slice(0, Math.ceil((limit * 2) / 3)));
  const tail = whole(text.slice(text.length - Math.floor(limit / 3)));
  return `${head}\n[… ${text.length - head.length - tail.length} characters left out …]\n${tail}`;
}

/** A cut must not leave half of a surrogate pair: the API refuses such text. */
function whole(text: string): string {
  return text.toWellFormed().replace(/^\ufffd|\ufffd$/g, "");
}

/** Text that can be shown: colour codes removed, binary replaced by its size. */
export function readableText(text: string): string {
  const plain = text.replaceAll(ANSI, "").toWellFormed();
  const odd = plain.match(CONTROL)?.length ?? 0;
  if (plain.includes("\u0000") || odd > plain.length / 20)
    return `[binary output, ${text.length} characters, not shown]`;
  return plain.replaceAll(CONTROL, "\ufffd");
}
