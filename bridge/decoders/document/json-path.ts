/** A dotted path into a document, such as `meta.id`. */
export interface JsonPath {
  readonly text: string;
  readonly names: readonly string[];
}

export function jsonPath(text: string): JsonPath {
  return { text, names: text.split(".") };
}
