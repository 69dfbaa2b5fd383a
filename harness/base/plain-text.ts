/**
 * Text from elsewhere as a terminal may show it: nothing in it moves the cursor, colours the screen or turns the order
 * of its letters around, so that a person reads what is there. C0 but tab and newline, DEL and C1 (ECMA-48; U+009B is
 * CSI), and Unicode's direction marks (UAX #9, 2).
 */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    "\ufffd",
  );
}
