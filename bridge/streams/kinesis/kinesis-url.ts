import { BridgeError } from "../../errors.ts";

/** A stream and its place. */
export interface KinesisTarget {
  readonly region: string;
  readonly streamName: string;
  /** URL of a local server or a VPC endpoint; undefined = the endpoint of the region. */
  readonly endpoint: string | undefined;
}

/**
 * Parses `kinesis://REGION/STREAM[?endpoint=URL]`. Credentials come from the AWS SDK's usual sources, never
 * from the URL.
 * @throws BridgeError KINESIS_URL_INVALID. Its text never holds credentials from the URL.
 */
export function kinesisTargetOf(text: string): KinesisTarget {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "kinesis:" || url.hostname === "") throw invalid("it is no Kinesis URL");
  if (url.username !== "" || url.password !== "")
    throw invalid(
      "it must hold no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role",
    );
  if (url.port !== "") throw invalid("a port belongs into ?endpoint=");
  if (!/^[a-z]{2,}(-[a-z0-9]+)+$/.test(url.hostname)) throw invalid(`${url.hostname} is no region`);
  const unknown = [...url.searchParams.keys()].find((name) => name !== "endpoint");
  if (unknown !== undefined) throw invalid(`there is no parameter ${unknown} (endpoint)`);
  return { region: url.hostname, streamName: streamNameOf(url), endpoint: endpointOf(url) };
}

function streamNameOf({ pathname }: URL): string {
  const name = pathname.replace(/^\//, "");
  if (name === "") throw invalid("it names no stream");
  if (/^[A-Za-z0-9_.-]{1,128}$/.test(name)) return name;
  throw invalid("a stream's name is 1 to 128 letters, digits, or any of _ . -");
}

function endpointOf({ searchParams }: URL): string | undefined {
  const text = searchParams.get("endpoint");
  if (text === null) return undefined;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol)) throw invalid("the endpoint must be an http or https URL");
  if (url.username !== "" || url.password !== "") throw invalid("the endpoint must hold no credentials");
  return url.href;
}

function invalid(reason: string): BridgeError {
  const text = `The Kinesis URL can't be used: ${reason}. Write kinesis://REGION/STREAM, for example kinesis://eu-central-1/telemetry, with ?endpoint=http://127.0.0.1:4567 for a local server.`;
  return new BridgeError("KINESIS_URL_INVALID", text, { retryable: false });
}
