import { readFileSync } from "node:fs";
import type { KindDescriptor, KindTarget } from "../../bridge/config.ts";
import { fileFault } from "../input/file-fault.ts";
import type { Settings } from "../settings/base-schema.ts";
import type { Backends } from "../settings/gateway-config.ts";
import type { ConfigFault } from "../settings/settings-sources.ts";
import { streamKind, streamKinds } from "../streams/stream-kinds.ts";
import { defaultWindow, windowKind, windowKinds } from "../windows/window-kinds.ts";
import { readStreamUrl, readWindowUrl, type UrlReading } from "./service-urls.ts";

/** Consumers of a shared stream write larger files, less often (5 s with an embedded stream). */
const sharedBatchAgeMs = 60_000;

type Section = "stream" | "window";

/** `backends` is null if there are faults, here or among the settings in `faulty`. */
export function readBackends(
  settings: Settings,
  faulty: ReadonlySet<string>,
): { backends: Backends | null; faults: ConfigFault[] } {
  const faults: ConfigFault[] = [];
  const target = (
    section: Section,
    read: (url: string) => UrlReading,
    kindOf: (target: KindTarget) => KindDescriptor,
  ): KindTarget | null => {
    const url = settings[section].url;
    if (url === undefined || faulty.has(`${section}.url`)) return null;
    const reading = read(url);
    if ("target" in reading)
      return withPassword({ section, settings, faults }, kindOf(reading.target), reading.target);
    faults.push({ path: `${section}.url`, value: url, ...reading });
    return null;
  };
  const stream = target("stream", readStreamUrl, streamKind);
  const ownWindow = target("window", readWindowUrl, windowKind);
  if (settings.window.url === undefined)
    faults.push(...uselessPassword("window", settings, "window.url is not set"));
  const window = settings.window.url === undefined ? windowBeside(stream) : sameLogin(ownWindow, stream);
  if (!faulty.has("roles") && settings.roles.length < 2 && stream)
    faults.push(...splitAlone(settings, stream, window));
  return { backends: stream && window && faults.length === 0 ? { stream, window } : null, faults };
}

/** Sets the defaults that depend on other settings, with their origins. */
export function settleDefaults(
  settings: Settings,
  backends: Backends,
  origins: Map<string, string>,
): Settings {
  const kind = streamKind(backends.stream);
  let settled = settings;
  if (settings.window.url === undefined) {
    const url = kind.holdsWindow ? settings.stream.url : defaultWindow.url;
    if (kind.holdsWindow) origins.set("window.url", `default: the stream's ${kind.label}`);
    settled = { ...settled, window: { ...settled.window, url } };
  }
  if (kind.placeOf(backends.stream) !== null && origins.get("consumer.maxBatchAgeMs") === "default") {
    origins.set("consumer.maxBatchAgeMs", `default with ${kind.name}`);
    settled = { ...settled, consumer: { ...settled.consumer, maxBatchAgeMs: sharedBatchAgeMs } };
  }
  return settled;
}

/** True if topics and identities are in the data folder, so that no other gateway can share the stream. */
export function isForOneGateway({ stream, window }: Backends): boolean {
  const { registryIn } = streamKind(stream);
  return registryIn === "data folder" || (registryIn === "window" && !windowKind(window).login);
}

/** If a stream holds its window, the window's kind of the same name reads the stream's target. */
function windowBeside(stream: KindTarget | null): KindTarget | null {
  return stream === null || streamKind(stream).holdsWindow ? stream : defaultWindow.target;
}

/** The password of a server that holds stream and window is needed only once. */
function sameLogin(window: KindTarget | null, stream: KindTarget | null): KindTarget | null {
  return window && stream ? withLoginOf(window, windowKind(window), stream) : window;
}

/** Takes over the login of the stream if the window is on the same server and has no login of its own. */
function withLoginOf(window: KindTarget, { login }: KindDescriptor, stream: KindTarget): KindTarget {
  const other = streamKind(stream).login;
  if (!login || !other || login.serverOf(window) !== other.serverOf(stream)) return window;
  const { username, password } = login.of(window);
  return username === undefined && password === undefined ? login.with(window, other.of(stream)) : window;
}

interface PasswordPlace {
  readonly section: Section;
  readonly settings: Settings;
  readonly faults: ConfigFault[];
}

function withPassword(
  { section, settings, faults }: PasswordPlace,
  { login }: KindDescriptor,
  target: KindTarget,
): KindTarget | null {
  if (!login) {
    faults.push(...uselessPassword(section, settings, `${section}.url is ${target.kind}:`));
    return target;
  }
  const { password, passwordFile } = settings[section];
  const inUrl = login.of(target);
  const given = [inUrl.password, password, passwordFile].filter((value) => value !== undefined);
  if (given.length > 1) {
    const mend = `give it once: in ${section}.passwordFile, ${section}.password or ${section}.url`;
    faults.push({ path: `${section}.password`, value: "***", expected: "one password", mend });
    return null;
  }
  const found = passwordFile === undefined ? password : readPassword(section, passwordFile, faults);
  if (found === null) return null;
  return found === undefined ? target : login.with(target, { ...inUrl, password: found });
}

/** null = the file cannot be read; the fault is added. */
function readPassword(section: Section, file: string, faults: ConfigFault[]): string | null {
  const fault = (mend: string): null => {
    faults.push({ path: `${section}.passwordFile`, value: file, expected: "a file with a password", mend });
    return null;
  };
  try {
    const line = readFileSync(file, "utf8").split(/\r?\n/, 1)[0] ?? "";
    return line === "" ? fault("write the password into the first line") : line;
  } catch (error) {
    return fault(`name a file that can be read: ${fileFault(error)}`);
  }
}

function uselessPassword(section: Section, settings: Settings, because: string): ConfigFault[] {
  return (["password", "passwordFile"] as const).flatMap((name) => {
    const value = settings[section]?.[name];
    if (value === undefined) return [];
    const mend = `remove it, or name ${withPasswords(section)} in ${section}.url: ${because}`;
    return [{ path: `${section}.${name}`, value, expected: "no password", mend }];
  });
}

function withPasswords(section: Section): string {
  const kinds: readonly KindDescriptor[] = section === "stream" ? streamKinds : windowKinds;
  return oneOf(kinds.filter(({ login }) => login));
}

function oneOf(kinds: readonly Pick<KindDescriptor, "label">[]): string {
  return kinds.map(({ label }) => `a ${label}`).join(" or ");
}

/** Split roles need shared topics and identities, but these would be in the data folder of each gateway. */
function splitAlone(settings: Settings, stream: KindTarget, window: KindTarget | null): ConfigFault[] {
  const kind = streamKind(stream);
  // A window that cannot be read has its own fault.
  if (window ? !isForOneGateway({ stream, window }) : kind.registryIn !== "data folder") return [];
  const servers = oneOf(windowKinds.filter(({ login }) => login));
  const shared = oneOf(streamKinds.filter(({ registryIn }) => registryIn === "stream"));
  const [what, mend] =
    kind.registryIn === "window"
      ? [`${kind.label} without ${servers}`, `window.url to ${servers}`]
      : [kind.label, `stream.url to ${shared}`];
  return [
    {
      path: "roles",
      value: settings.roles,
      expected: '["broker","consumer"]',
      mend: `${what} is for one gateway that runs both roles; set ${mend} to run them separately`,
    },
  ];
}
