export type ExampleKind =
  | "lost"
  | "duplicated"
  | "phantom"
  | "altered"
  | "quarantined"
  | "misplaced"
  | "misstated"
  | "disordered"
  | "logFaults";

const examplesMax = 5;

/** The first few faulty messages of each kind, for people. */
export class AuditExamples {
  readonly #texts = new Map<ExampleKind, string[]>();

  add(kind: ExampleKind, text: string): void {
    const texts = this.#texts.get(kind) ?? [];
    if (texts.length < examplesMax) this.#texts.set(kind, [...texts, text]);
  }

  isFull(kind: ExampleKind): boolean {
    return (this.#texts.get(kind)?.length ?? 0) >= examplesMax;
  }

  clear(): void {
    this.#texts.clear();
  }

  list(): string[] {
    return [...this.#texts].flatMap(([kind, texts]) => texts.map((text) => `${kind}: ${text}`));
  }
}
