import { resolve } from "node:path";

/** What a URL of `stream.url`, `window.url` or `lake.url` names; `fault` says what to write instead. */
export type UrlReading<Target> =
  | { readonly target: Target }
  | { readonly expected: string; readonly mend: string };

export interface LakeTarget {
  readonly kind: "file";
  /** Absolute. */
  readonly folder: string;
}

const laterKinds: Readonly<Record<string, string>> = {
  "redis:": "Redis",
  "rediss:": "Redis over TLS",
  "kinesis:": "Amazon Kinesis",
  "s3:": "Amazon S3",
};

function unavailable<Target>(url: string, scheme: string, instead: string): UrlReading<Target> {
  const later = laterKinds[scheme];
  return {
    expected: instead,
    mend: later
      ? `${later} is not available in this version: use ${instead}`
      : `${JSON.stringify(url)} names no backend: use ${instead}`,
  };
}

function schemeOf(url: string): string {
  return /^[a-z0-9+.-]+:/.exec(url)?.[0] ?? "";
}

/** `embedded:` = the built-in stream in the data folder. */
export function readStreamUrl(url: string): UrlReading<{ readonly kind: "embedded" }> {
  return url === "embedded:"
    ? { target: { kind: "embedded" } }
    : unavailable(url, schemeOf(url), "embedded:");
}

/** `memory:` = the dedupe window in the consumer's memory, rebuilt from the lake at start. */
export function readWindowUrl(url: string): UrlReading<{ readonly kind: "memory" }> {
  return url === "memory:" ? { target: { kind: "memory" } } : unavailable(url, schemeOf(url), "memory:");
}

/** `file:DIR` (also `file:///abs/dir`), relative to the working folder. */
export function readLakeUrl(url: string): UrlReading<LakeTarget> {
  if (schemeOf(url) !== "file:") return unavailable(url, schemeOf(url), "file:DIR");
  const path = url.slice("file:".length).replace(/^\/\/(?=\/)/, "");
  if (path === "" || path.startsWith("//"))
    return { expected: "file:DIR", mend: "name a folder after file:, for example file:data/lake" };
  return { target: { kind: "file", folder: resolve(path) } };
}
