/** Where a text stops being JSON, for people; null = it is JSON. */
export function jsonTextFault(text: string): string | null {
  if (text.trim() === "") return "it is empty";
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const position = /at position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
    if (position === undefined) return "it ends too early";
    const before = text.slice(0, Number(position)).split("\n");
    return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1} does not fit`;
  }
}
