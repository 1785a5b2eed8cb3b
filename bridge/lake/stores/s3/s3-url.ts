import { BridgeError } from "../../../errors.ts";

/**
 * A lake's place in S3. Credentials are never part of it: they come from the environment, a profile or the
 * machine's role.
 */
export interface S3Target {
  readonly bucket: string;
  /** Without slashes at its ends; "" = the whole bucket. */
  readonly prefix: string;
  /** Undefined = AWS itself. */
  readonly endpoint: string | undefined;
  /** Undefined = the region of the environment or the profile. */
  readonly region: string | undefined;
  /** Whether the bucket is part of a request's path instead of its host name. */
  readonly isPathStyle: boolean;
}

const parameters = ["endpoint", "region", "pathStyle"];
/** S3's limit is 1,024 bytes per object key; the lake's own paths need the rest. */
const prefixBytesMax = 120;
const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/**
 * Reads `s3://BUCKET[/PREFIX][?endpoint=URL][&region=NAME][&pathStyle=true|false]`. With an endpoint, the
 * default of `pathStyle` is true. Throws S3_URL_INVALID; its text never contains a secret.
 */
export function parseS3Url(text: string): S3Target {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "s3:") throw invalid("it does not begin with s3://");
  if (url.username !== "" || url.password !== "") throw invalid(noCredentials);
  const names = [...url.searchParams.keys()];
  if (names.some((name) => /key|secret|token|password|credential/i.test(name))) throw invalid(noCredentials);
  const unknown = names.find((name) => !parameters.includes(name));
  if (unknown !== undefined) throw invalid(`there is no parameter ${unknown} (${parameters.join(", ")})`);
  const bucket = url.host;
  if (!bucketPattern.test(bucket))
    throw invalid("a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens");
  const endpoint = endpointOf(url.searchParams.get("endpoint"));
  const region = url.searchParams.get("region") ?? undefined;
  if (region !== undefined && !/^[a-zA-Z0-9-]{1,40}$/.test(region))
    throw invalid(`${JSON.stringify(region)} is not the name of a region`);
  const pathStyle = url.searchParams.get("pathStyle");
  if (pathStyle !== null && pathStyle !== "true" && pathStyle !== "false")
    throw invalid("pathStyle is true or false");
  const isPathStyle = pathStyle === null ? endpoint !== undefined : pathStyle === "true";
  return { bucket, prefix: prefixOf(url.pathname), endpoint, region, isPathStyle };
}

/** The URL of the lake, as `parseS3Url` reads it. */
export function s3Url(target: S3Target): string {
  const { bucket, prefix, endpoint, region, isPathStyle } = target;
  const given = [
    ...(endpoint === undefined ? [] : [`endpoint=${encodeURIComponent(endpoint)}`]),
    ...(region === undefined ? [] : [`region=${region}`]),
    ...(isPathStyle === (endpoint !== undefined) ? [] : [`pathStyle=${isPathStyle}`]),
  ];
  return `${s3Place({ bucket, prefix })}${given.length === 0 ? "" : `?${given.join("&")}`}`;
}

/** For messages to people. */
export function s3Place({ bucket, prefix }: Pick<S3Target, "bucket" | "prefix">): string {
  return prefix === "" ? `s3://${bucket}` : `s3://${bucket}/${prefix}`;
}

const noCredentials =
  "it must not contain credentials, because logs, process lists and shell histories show it: put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, into a profile (AWS_PROFILE), or give the machine a role";

function prefixOf(pathname: string): string {
  const prefix = pathname.replace(/^\/+|\/+$/g, "");
  if (prefix === "") return "";
  if (prefix.length > prefixBytesMax) throw invalid(`the prefix is longer than ${prefixBytesMax} characters`);
  if (!/^[\w.=-]+(\/[\w.=-]+)*$/.test(prefix) || prefix.split("/").some((part) => /^\.+$/.test(part)))
    throw invalid("the prefix must be letters, digits, or any of _ . = - between single slashes");
  return prefix;
}

function endpointOf(text: string | null): string | undefined {
  if (text === null) return undefined;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw invalid("its endpoint must begin with http:// or https://");
  if (url.username !== "" || url.password !== "") throw invalid(noCredentials);
  if (url.search !== "" || url.hash !== "") throw invalid("its endpoint must have no parameters of its own");
  return text.replace(/\/+$/, "");
}

function invalid(reason: string): BridgeError {
  const text = `The S3 URL can't be used: ${reason}. Write s3://BUCKET/PREFIX, for example s3://my-bucket/lake?region=eu-central-1, or with an endpoint s3://my-bucket/lake?endpoint=http://127.0.0.1:9000`;
  return new BridgeError("S3_URL_INVALID", text, { retryable: false });
}
