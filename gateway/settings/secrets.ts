import { shownUrl } from "../../devices/protocol/shown-url.ts";

const secretPaths = new Set(["stream.password", "window.password"]);
const urlPaths = new Set(["stream.url", "window.url", "lake.url"]);

/** The value of a setting without its secrets, safe for every reader of the output. */
export function shownSetting(path: string, value: unknown): unknown {
  if (value === undefined || value === null) return value;
  if (secretPaths.has(path)) return "***";
  // An unknown setting with such a name holds a password, too.
  if (/password$/i.test(path) || /_PASSWORD$/.test(path)) return "***";
  return typeof value === "string" && (urlPaths.has(path) || /url$/i.test(path)) ? shownUrl(value) : value;
}
