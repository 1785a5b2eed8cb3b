/**
 * A text that two values of JSON share if they are equal as JSON Schema has it: members of objects have no order, and 1 and 1.0 are one
 * number. Recurses: nesting is bounded by `JSON_LEVELS_MAX`.
 */
export function canonicalText(value: unknown): string {
  if (typeof value === "number") return String(value + 0);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`;
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`).join()}}`;
}
