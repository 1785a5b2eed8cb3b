import { resolve } from "node:path";
import {
  BridgeError,
  type KinesisTarget,
  kinesisTargetOf,
  parseRedisUrl,
  parseS3Url,
  type RedisTarget,
  type S3Target,
  s3Url,
} from "../../bridge/config.ts";

/** What a URL of `stream.url`, `window.url` or `lake.url` names; `fault` says what to write instead. */
export type UrlReading<Target> =
  | { readonly target: Target }
  | { readonly expected: string; readonly mend: string };

/** `embedded` = the built-in stream in the data folder. */
export type StreamTarget =
  | { readonly kind: "embedded" }
  | { readonly kind: "redis"; readonly redis: RedisTarget }
  | { readonly kind: "kinesis"; readonly kinesis: KinesisTarget };

/** `memory` = the dedupe window in each consumer's memory, rebuilt from the lake wherever it is missing. */
export type WindowTarget =
  | { readonly kind: "memory" }
  | { readonly kind: "redis"; readonly redis: RedisTarget };

export type LakeTarget =
  /** Absolute. */
  { readonly kind: "file"; readonly folder: string } | { readonly kind: "s3"; readonly s3: S3Target };

export const streamUrls = "embedded:, redis://HOST:PORT/DB or kinesis://REGION/STREAM";
export const windowUrls = "memory: or redis://HOST:PORT/DB";
export const lakeUrls = "file:DIR or s3://BUCKET/PREFIX";

const elsewhere: Readonly<Record<string, string>> = {
  "redis:": "Redis",
  "rediss:": "Redis",
  "memory:": "Memory",
  "embedded:": "The embedded stream",
  "kinesis:": "Amazon Kinesis",
};

function unavailable<Target>(scheme: string, instead: string): UrlReading<Target> {
  const other = elsewhere[scheme];
  return { expected: instead, mend: `${other ?? "it"} names no backend here: use ${instead}` };
}

function schemeOf(url: string): string {
  return /^[a-z0-9+.-]+:/.exec(url)?.[0] ?? "";
}

export function readStreamUrl(url: string): UrlReading<StreamTarget> {
  if (url === "embedded:") return { target: { kind: "embedded" } };
  return schemeOf(url) === "kinesis:" ? readKinesisUrl(url) : readRedisUrl(url, streamUrls);
}

export function readWindowUrl(url: string): UrlReading<WindowTarget> {
  return url === "memory:" ? { target: { kind: "memory" } } : readRedisUrl(url, windowUrls);
}

function readKinesisUrl(url: string): UrlReading<StreamTarget> {
  try {
    return { target: { kind: "kinesis", kinesis: kinesisTargetOf(url) } };
  } catch (error) {
    if (error instanceof BridgeError) return { expected: streamUrls, mend: error.message };
    throw error;
  }
}

function readRedisUrl(
  url: string,
  expected: string,
): UrlReading<{ readonly kind: "redis"; readonly redis: RedisTarget }> {
  const scheme = schemeOf(url);
  if (scheme !== "redis:" && scheme !== "rediss:") return unavailable(scheme, expected);
  try {
    return { target: { kind: "redis", redis: parseRedisUrl(url) } };
  } catch (error) {
    if (error instanceof BridgeError) return { expected, mend: error.message };
    // A percent sign that escapes nothing.
    if (error instanceof URIError)
      return { expected, mend: "write % in user name and password as %25, or use passwordFile" };
    throw error;
  }
}

/** `file:DIR` (also `file:///abs/dir`), relative to the working folder; or see `parseS3Url`. */
export function readLakeUrl(url: string): UrlReading<LakeTarget> {
  const scheme = schemeOf(url);
  if (scheme === "s3:") return readS3Url(url);
  if (scheme !== "file:") return unavailable(scheme, lakeUrls);
  const path = url.slice("file:".length).replace(/^\/\/(?=\/)/, "");
  if (path === "" || path.startsWith("//"))
    return { expected: lakeUrls, mend: "name a folder after file:, for example file:data/lake" };
  return { target: { kind: "file", folder: resolve(path) } };
}

function readS3Url(url: string): UrlReading<LakeTarget> {
  try {
    return { target: { kind: "s3", s3: parseS3Url(url) } };
  } catch (error) {
    if (error instanceof BridgeError) return { expected: lakeUrls, mend: error.message };
    throw error;
  }
}

/** The URL that names the lake from anywhere. */
export function lakeUrlOf(target: LakeTarget): string {
  return target.kind === "file" ? `file:${target.folder}` : s3Url(target.s3);
}
