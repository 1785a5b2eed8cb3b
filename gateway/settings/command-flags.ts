import { shownUrl } from "../../devices/protocol/shown-url.ts";

/** Settings of a gateway that a command must share, if flags or the environment set them. */
export interface SharedSettings {
  readonly configFile: string | null;
  /** Absolute path. */
  readonly data: string;
  /** null = not set, or set in the configuration file. */
  readonly streamUrl: string | null;
  readonly lakeUrl: string | null;
}

/**
 * Flags that name the same stream and lake for a command, quoted for a POSIX shell. Passwords are left out.
 */
export function commandFlags({ configFile, data, streamUrl, lakeUrl }: SharedSettings): {
  /** For commands that send a request to the running gateway. */
  readonly asking: string;
  /** For commands that do their work themselves. */
  readonly working: string;
} {
  const flag = (name: string, value: string | null): string =>
    value === null ? "" : ` --${name} ${shellWord(value)}`;
  const asking = `${flag("data", data)}${flag("config", configFile)}`;
  const stream = streamUrl === null ? null : shownUrl(streamUrl);
  return { asking, working: `${asking}${flag("stream", stream)}${flag("lake", lakeUrl)}` };
}

/** Adds the flags to commands in a text. Other folders know neither the data folder nor the URLs. */
export function completeCommands(text: string, flags: ReturnType<typeof commandFlags>): string {
  return text
    .replaceAll(
      /tidegate stream new( --create)?(?! --)/g,
      (_, create = "") => `tidegate stream new${flags.working}${create}`,
    )
    .replaceAll(
      /tidegate stream accept-gap (\d+)\b(?! --)/g,
      (_, partition) => `tidegate stream accept-gap ${partition}${flags.asking}`,
    );
}

/** Quotes a word for a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
