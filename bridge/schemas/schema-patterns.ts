import { LinearPattern } from "./linear-pattern.ts";

/** The patterns of one schema. Ajv creates and tests them. */
export class SchemaPatterns {
  readonly #mayBacktrack: boolean;
  readonly #linear = new Map<string, LinearPattern>();
  #areLinear = true;

  constructor({ mayBacktrack = false }: { readonly mayBacktrack?: boolean }) {
    this.#mayBacktrack = mayBacktrack;
  }

  /** For ajv's option `code.regExp`. Ajv requires `code`, but uses it only for standalone code. */
  get regExp() {
    return Object.assign((source: string) => this.#patternOf(source), { code: "linearPattern" });
  }

  /** False if a pattern backtracks. */
  get areLinear(): boolean {
    return this.#areLinear;
  }

  /** Call this after an interrupted match, which may leave caches half filled. */
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
