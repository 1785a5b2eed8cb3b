import { shownUrl } from "./secrets.ts";

/** Where a gateway's settings that a command has to share were said, and what they are. */
export interface SharedSettings {
  readonly configFile: string | null;
  /** Absolute path. */
  readonly data: string;
  /** null = not said, or said in the configuration file. */
  readonly streamUrl: string | null;
  readonly lakeUrl: string | null;
}

/** Flags with which a command means the same stream and lake, ready for a POSIX shell. Passwords are left out. */
export function commandFlags({ configFile, data, streamUrl, lakeUrl }: SharedSettings): {
  /** For commands that ask the running gateway. */
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

/** Other folders name commands without flags: they know neither data folder nor URLs. */
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

/** For a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
