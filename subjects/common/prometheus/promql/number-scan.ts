const ALPHANUMERIC = /[a-zA-Z0-9_]/;

/** `scanNumber` and `acceptRemainingDuration` of promql/parser/lex.go: where they stop is part of what errors show. */
export class Scan {
  readonly #text: string;
  at: number;

  constructor(text: string, at: number) {
    this.#text = text;
    this.at = at;
  }

  #is(characters: string): boolean {
    return this.at < this.#text.length && characters.includes(this.#text[this.at] as string);
  }

  #take(characters: string): boolean {
    if (!this.#is(characters)) return false;
    this.at++;
    return true;
  }

  #takeAll(characters: string): void {
    while (this.#is(characters)) this.at++;
  }

  number(): boolean {
    const start = this.at;
    let digits = "0123456789";
    if (this.#take("0") && this.#take("xX")) {
      this.#take("_");
      digits = "0123456789abcdefABCDEF";
    }
    this.#take(".");
    this.#take(digits);
    let [dot, exponent] = [false, false];
    while (this.#is(`${digits}._eE`)) {
      if ((dot && this.#take(".")) || (exponent && this.#take("eE"))) return false;
      if (this.#take(".")) {
        dot = true;
        if (this.#take("_.") || digits.length > 10) return false;
      } else if (this.#take("eE")) {
        exponent = true;
        this.#take("+-");
        if (this.#take("._eE") || this.at === this.#text.length) return false;
      } else if (this.#take("_")) {
        if (this.#take("._eE") || this.at === this.#text.length) return false;
      } else this.#takeAll(digits);
    }
    return this.at > start && !ALPHANUMERIC.test(this.#text[this.at] ?? "");
  }

  restOfDuration(): boolean {
    if (!this.#take("smhdwy")) return false;
    this.#take("s");
    while (this.#take("0123456789")) {
      this.#takeAll("0123456789");
      if (!this.#take("smhdw")) return false;
      this.#take("s");
    }
    if (!ALPHANUMERIC.test(this.#text[this.at] ?? "")) return true;
    this.at++;
    return false;
  }
}
