/**
 * A URL without its secrets, even if the URL is malformed. Hides everything before the last @, except a user
 * name that is followed by a password. Hides parameters that are named like a secret.
 */
export function shownUrl(url: string): string {
  return url
    .replace(/^([a-z0-9+.-]+:\/\/)(.*)@/is, (_match, scheme: string, authority: string) => {
      const colon = authority.indexOf(":");
      return colon < 0 ? `${scheme}***@` : `${scheme}${authority.slice(0, colon)}:***@`;
    })
    .replace(/([?&][^=&]*(?:pass|auth|token|secret|key|credential)[^=&]*=)[^&]*/gi, "$1***");
}

/** The process title without secrets, because `ps` shows it to every user. null = it holds no secret. */
export function shownTitle(argv: readonly string[]): string | null {
  const shown = argv.map((text) =>
    /^(--\w+=)?[a-z][a-z0-9+.-]*:\/\//i.test(text) ? shownArgument(text) : text,
  );
  return shown.some((text, index) => text !== argv[index]) ? shown.join(" ") : null;
}

function shownArgument(text: string): string {
  const start = text.search(/[a-z][a-z0-9+.-]*:\/\//i);
  return text.slice(0, start) + shownUrl(text.slice(start));
}
