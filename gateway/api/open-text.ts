/**
 * `file:` URLs, and paths that are absolute or begin with a dot or a tilde. Does not match inside other URLs.
 */
const filePaths = /file:[^\s'"`]+|(?<![\w:/.~@-])(?:~|\.{1,2})?\/[^\s'"`,;:)\]]+/g;
/** A quoted path may contain spaces. */
const quotedPaths = /(['"`])(?:file:|~|\.{1,2})?\/[^'"`\n]*\1/g;

/**
 * The part of a text that every client may read: its first line, without a stack trace and without paths of
 * this machine.
 */
export function openText(text: string): string {
  const [line = ""] = text.split("\n", 1);
  return line.replaceAll(quotedPaths, "$1…$1").replaceAll(filePaths, "…");
}
