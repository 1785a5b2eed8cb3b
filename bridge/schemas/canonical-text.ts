/**
 * The same text for JSON values that are equal by the rules of JSON Schema: members of objects have no
 * order, and 1 equals 1.0. Recurses, so the caller checks `JSON_LEVELS_MAX` first.
 */
export function canonicalText(value: unknown): string {
  if (typeof value === "number") return String(value + 0);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`;
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`).join()}}`;
}
