import { LinearPattern } from "./linear-pattern.ts";

/** The patterns of one schema, as ajv makes and asks them. */
export class SchemaPatterns {
  readonly #mayBacktrack: boolean;
  readonly #linear = new Map<string, LinearPattern>();
  #areLinear = true;

  constructor({ mayBacktrack = false }: { readonly mayBacktrack?: boolean }) {
    this.#mayBacktrack = mayBacktrack;
  }

  /** For ajv's option `code.regExp`. Ajv wants `code` for standalone code, which is not made here. */
  get regExp() {
    return Object.assign((source: string) => this.#patternOf(source), { code: "linearPattern" });
  }

  /** False if one of them backtracks. */
  get areLinear(): boolean {
    return this.#areLinear;
  }

  /** After a match was interrupted, which fills caches. */
  reset(): void {
    for (const pattern of this.#linear.values()) pattern.reset();
  }

  #patternOf(source: string): LinearPattern | RegExp {
    const known = this.#linear.get(source);
    if (known) return known;
    try {
      const pattern = new LinearPattern(source);
      this.#linear.set(source, pattern);
      return pattern;
    } catch (error) {
      if (!this.#mayBacktrack) throw error;
      const pattern = new RegExp(source, "u");
      this.#areLinear = false;
      return pattern;
    }
  }
}
