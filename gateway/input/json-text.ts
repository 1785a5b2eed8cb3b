/** Where a text stops being JSON, for people; null = it is JSON. */
export function jsonTextFault(text: string): string | null {
  if (text.trim() === "") return "it is empty";
  const length = jsonLength(text);
  if (length === null) return null;
  if (length >= text.trimEnd().length) return "it ends too early";
  const before = text.slice(0, length).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1} does not fit`;
}

/** How much of a text can be the beginning of JSON; null = all of it is JSON. The parser says where it failed for some faults only. */
function jsonLength(text: string): number | null {
  if (failure(text) === null) return null;
  let [fits, fails] = [0, text.length + 1];
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2);
    const failed = failure(text.slice(0, middle));
    if (failed === null || failed === "end") fits = middle;
    else fails = middle;
  }
  return fits;
}

/** `end` = more text could make it JSON. */
function failure(text: string): "end" | "token" | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const { message } = error as Error;
    const position = /at position (\d+)/.exec(message)?.[1];
    return message.includes("end of JSON") || Number(position) >= text.length ? "end" : "token";
  }
}
