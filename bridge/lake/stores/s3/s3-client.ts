import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { S3Config } from "./s3-config.ts";
import { httpStatusOf, s3FaultName } from "./s3-error.ts";
import type { S3Metrics } from "./s3-metrics.ts";
import type { S3Target } from "./s3-url.ts";

export interface S3ClientOptions {
  readonly target: S3Target;
  readonly config: S3Config;
  readonly metrics: S3Metrics;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Two clients of one bucket: `single` sends each request once, `uploads` repeats requests that are safe to
 * repeat.
 */
export interface S3Clients {
  readonly single: S3Client;
  readonly uploads: S3Client;
}

export function createS3Clients(options: S3ClientOptions): S3Clients {
  return { single: createClient(options, 1), uploads: createClient(options, options.config.attempts) };
}

function createClient(
  { target, config, metrics, environment }: S3ClientOptions,
  maxAttempts: number,
): S3Client {
  // The locked version is tested on the Node in use, so a warning in every process helps no one.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const { endpoint, isPathStyle } = target;
  const region = target.region ?? (endpoint === undefined ? undefined : regionBeside(environment));
  const checksums = config.checksums === "crc32" ? "WHEN_SUPPORTED" : "WHEN_REQUIRED";
  const settings: S3ClientConfig = {
    forcePathStyle: isPathStyle,
    maxAttempts,
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    // The region in the URL must be right; S3_REGION_WRONG says what to correct.
    followRegionRedirects: false,
    requestHandler: {
      connectionTimeout: config.connectTimeoutMs,
      requestTimeout: config.timeoutMs,
      throwOnRequestTimeout: true,
    },
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
  const client = new S3Client(settings);
  count(client, metrics);
  return client;
}

/** Servers other than AWS have one region, with any name. */
function regionBeside(environment: S3ClientOptions["environment"]): string {
  return environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"] ?? "us-east-1";
}

/** Counts each request on the wire, also those that the SDK repeats. */
function count(client: S3Client, metrics: S3Metrics): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const operation = (context.commandName ?? "unknown").replace(/Command$/, "");
      const beganAtMs = performance.now();
      const done = (outcome: string) =>
        metrics.request(operation, outcome, (performance.now() - beganAtMs) / 1000);
      try {
        const result = await next(args);
        done("ok");
        return result;
      } catch (error) {
        done(outcomeOf(error));
        throw error;
      }
    },
    { step: "deserialize", name: "tidegateRequestCount", priority: "high" },
  );
}

function outcomeOf(error: unknown): string {
  if (s3FaultName(error) === "NoSuchKey") return "absent";
  const status = httpStatusOf(error);
  return status === 412 ? "exists" : status === undefined ? "no-answer" : String(status);
}
