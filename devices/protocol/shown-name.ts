/** Longest name that is logged or shown whole, in UTF-16 units. */
const shownMaxLength = 128;

/** For texts and logs: names of clients, topics and devices come from strangers and may be 64 KiB long. */
export function shownName(name: string): string {
  if (name.length <= shownMaxLength) return name;
  return `${name.slice(0, shownMaxLength)}… (${name.length} characters)`;
}
