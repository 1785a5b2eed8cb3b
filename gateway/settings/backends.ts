import { readFileSync } from "node:fs";
import type { RedisTarget } from "../../bridge/config.ts";
import { fileFault } from "../input/file-fault.ts";
import type { Settings } from "./config-schema.ts";
import { readStreamUrl, readWindowUrl, type StreamTarget, type WindowTarget } from "./service-urls.ts";
import type { ConfigFault } from "./settings-sources.ts";

/** What stream and window are, with passwords in place. */
export interface Backends {
  readonly stream: StreamTarget;
  readonly window: WindowTarget;
}

/** Consumers of a shared stream write larger files, less often (embedded: 5 s). */
const sharedBatchAgeMs = 60_000;

type Section = "stream" | "window";

/** `backends` is null where there are faults, here or in what was found faulty before. */
export function readBackends(
  settings: Settings,
  faulty: ReadonlySet<string>,
): { backends: Backends | null; faults: ConfigFault[] } {
  const faults: ConfigFault[] = [];
  const target = <Target extends StreamTarget | WindowTarget>(
    section: Section,
    url: string | undefined,
    read: (url: string) => { readonly target: Target } | { readonly expected: string; readonly mend: string },
  ): Target | null => {
    if (url === undefined || faulty.has(`${section}.url`)) return null;
    const reading = read(url);
    if ("target" in reading) return withPassword(section, settings, reading.target, faults);
    faults.push({ path: `${section}.url`, value: url, ...reading });
    return null;
  };
  const stream = target<StreamTarget>("stream", settings.stream.url, readStreamUrl);
  const ownWindow = target<WindowTarget>("window", settings.window.url, readWindowUrl);
  if (settings.window.url === undefined)
    faults.push(...uselessPassword("window", settings, "window.url is not set"));
  const window = settings.window.url === undefined ? windowBeside(stream) : sameLogin(ownWindow, stream);
  if (stream?.kind === "embedded" && !faulty.has("roles") && settings.roles.length < 2)
    faults.push(splitAlone(settings, "the embedded stream", "stream.url"));
  if (stream?.kind === "kinesis" && window?.kind === "memory" && !faulty.has("roles"))
    if (settings.roles.length < 2) faults.push(splitAlone(settings, "Kinesis without a Redis", "window.url"));
  return { backends: stream && window && faults.length === 0 ? { stream, window } : null, faults };
}

/** Sets what depends on other settings and was not said, with its origin. */
export function settleDefaults(
  settings: Settings,
  backends: Backends,
  origins: Map<string, string>,
): Settings {
  const { kind } = backends.stream;
  let settled = settings;
  if (settings.window.url === undefined) {
    const url = kind === "redis" ? settings.stream.url : "memory:";
    if (kind === "redis") origins.set("window.url", "default: the stream's Redis");
    settled = { ...settled, window: { ...settled.window, url } };
  }
  if (kind !== "embedded" && origins.get("consumer.maxBatchAgeMs") === "default") {
    origins.set("consumer.maxBatchAgeMs", `default with ${kind}`);
    settled = { ...settled, consumer: { ...settled.consumer, maxBatchAgeMs: sharedBatchAgeMs } };
  }
  return settled;
}

function windowBeside(stream: StreamTarget | null): WindowTarget | null {
  return stream === null || stream.kind === "redis" ? stream : { kind: "memory" };
}

/** One server needs its password said once. */
function sameLogin(window: WindowTarget | null, stream: StreamTarget | null): WindowTarget | null {
  if (window?.kind !== "redis" || stream?.kind !== "redis") return window;
  const { redis } = window;
  const isSameServer = redis.host === stream.redis.host && redis.port === stream.redis.port;
  if (!isSameServer || redis.password !== undefined || redis.username !== undefined) return window;
  const { username, password } = stream.redis;
  return { kind: "redis", redis: { ...redis, username, password } };
}

function withPassword<Target extends StreamTarget | WindowTarget>(
  section: Section,
  settings: Settings,
  target: Target,
  faults: ConfigFault[],
): Target | null {
  if (target.kind !== "redis") {
    faults.push(...uselessPassword(section, settings, `${section}.url is ${target.kind}:`));
    return target;
  }
  const { password, passwordFile } = settings[section];
  const { redis } = target as { redis: RedisTarget };
  const given = [redis.password, password, passwordFile].filter((value) => value !== undefined);
  if (given.length > 1) {
    const mend = `say it once: in ${section}.passwordFile, ${section}.password or ${section}.url`;
    faults.push({ path: `${section}.password`, value: "***", expected: "one password", mend });
    return null;
  }
  const found = passwordFile === undefined ? password : readPassword(section, passwordFile, faults);
  return found === null
    ? null
    : found === undefined
      ? target
      : { ...target, redis: { ...redis, password: found } };
}

/** null = it can't be read, which is among the faults then. */
function readPassword(section: Section, file: string, faults: ConfigFault[]): string | null {
  const fault = (mend: string): null => {
    faults.push({ path: `${section}.passwordFile`, value: file, expected: "a file with a password", mend });
    return null;
  };
  try {
    const line = readFileSync(file, "utf8").split(/\r?\n/, 1)[0] ?? "";
    return line === "" ? fault("write the password into its first line") : line;
  } catch (error) {
    return fault(`name one that can be read: ${fileFault(error)}`);
  }
}

function uselessPassword(section: Section, settings: Settings, because: string): ConfigFault[] {
  return (["password", "passwordFile"] as const).flatMap((name) => {
    const value = settings[section]?.[name];
    if (value === undefined) return [];
    const mend = `remove it, or name a Redis in ${section}.url: ${because}`;
    return [{ path: `${section}.${name}`, value, expected: "no password", mend }];
  });
}

/** What they would share, topics and identities included, is in the data folder of each. */
function splitAlone(settings: Settings, what: string, path: string): ConfigFault {
  return {
    path: "roles",
    value: settings.roles,
    expected: '["broker","consumer"]',
    mend: `${what} is for one gateway that runs both; set ${path} to a Redis to run them apart`,
  };
}
