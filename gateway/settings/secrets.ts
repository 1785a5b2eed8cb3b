const secretPaths = new Set(["stream.password", "window.password"]);
const urlPaths = new Set(["stream.url", "window.url", "lake.url"]);

/** A setting's value as people may see it, whoever reads the output. */
export function shownSetting(path: string, value: unknown): unknown {
  if (value === undefined || value === null) return value;
  if (secretPaths.has(path)) return "***";
  // By whatever name somebody tried to set one.
  if (/password$/i.test(path) || /_PASSWORD$/.test(path)) return "***";
  return typeof value === "string" && (urlPaths.has(path) || /url$/i.test(path)) ? shownUrl(value) : value;
}

/**
 * A URL without its secrets, also where it is written wrong: up to the last @ everything but a user name that has a password beside it,
 * and parameters that sound like a secret.
 */
export function shownUrl(url: string): string {
  return url
    .replace(/^([a-z0-9+.-]+:\/\/)(.*)@/is, (_match, scheme: string, authority: string) => {
      const colon = authority.indexOf(":");
      return colon < 0 ? `${scheme}***@` : `${scheme}${authority.slice(0, colon)}:***@`;
    })
    .replace(/([?&][^=&]*(?:pass|auth|token|secret|key|credential)[^=&]*=)[^&]*/gi, "$1***");
}

/** The process's title without secrets: `ps` shows it to everybody on the machine. null = it has none. */
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
