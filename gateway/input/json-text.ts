/** The place at which a text is not JSON, for people; null = it is JSON. */
export function jsonTextFault(text: string): string | null {
  if (text.trim() === "") return "it is empty";
  const length = jsonLength(text);
  if (length === null) return null;
  if (length >= text.trimEnd().length) return "it ends too early";
  const before = text.slice(0, length).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1} does not fit`;
}

/**
 * Length of the longest beginning of the text that fits JSON; null = the text is JSON. The parser reports the
 * position of some faults only.
 */
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
