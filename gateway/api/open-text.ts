/** `file:` URLs, and paths that are absolute or begin with a dot or a tilde. In other URLs nothing looks like one. */
const filePaths = /file:[^\s'"`]+|(?<![\w:/.~@-])(?:~|\.{1,2})?\/[^\s'"`,;:)\]]+/g;
/** A quoted path may hold blanks. */
const quotedPaths = /(['"`])(?:file:|~|\.{1,2})?\/[^'"`\n]*\1/g;

/** Of a text for people, what may be shown to whoever asks: its first line, without a stack trace, and no paths of this machine. */
export function openText(text: string): string {
  const [line = ""] = text.split("\n", 1);
  return line.replaceAll(quotedPaths, "$1…$1").replaceAll(filePaths, "…");
}
