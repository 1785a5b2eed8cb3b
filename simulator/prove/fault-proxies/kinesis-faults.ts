import {
  clockSkew,
  errorAfter,
  errorBefore,
  type HttpAnswer,
  type HttpCall,
  type HttpFault,
} from "./http-fault.ts";

const contentType = "application/x-amz-json-1.1";
/** Requests signed further than this from Kinesis' clock are refused (Signature Version 4). */
const signatureToleranceMs = 300_000;

/** An error as Kinesis words it: AWS JSON 1.1. */
export function kinesisError(status: number, code: string, message: string): HttpAnswer {
  return jsonAnswer(status, { __type: code, message });
}

export function jsonAnswer(status: number, body: unknown): HttpAnswer {
  return { status, headers: { "content-type": contentType }, body: Buffer.from(JSON.stringify(body)) };
}

export function jsonOf(body: Buffer): Record<string, unknown> {
  return JSON.parse(body.toString()) as Record<string, unknown>;
}

/** The whole call is refused: more than the shards carry, or too many calls. */
export function throttled(): HttpFault {
  const message = "Rate exceeded for shard shardId-000000000000 in stream.";
  return errorBefore("throttled", kinesisError(400, "ProvisionedThroughputExceededException", message));
}

/** As control operations are throttled: ListShards, DescribeStreamSummary. */
export function limitExceeded(): HttpFault {
  const message = "Rate exceeded for stream under account.";
  return errorBefore("limitExceeded", kinesisError(400, "LimitExceededException", message));
}

/** On GetRecords: the iterator is older than 5 minutes. */
export function expiredIterator(): HttpFault {
  const message = "Iterator expired. The iterator was created more than 5 minutes ago.";
  return errorBefore("expiredIterator", kinesisError(400, "ExpiredIteratorException", message));
}

export function accessDenied(operation: string): HttpFault {
  const message = `User: arn:aws:iam::000000000000:user/local is not authorized to perform: kinesis:${operation}`;
  return errorBefore("accessDenied", kinesisError(400, "AccessDeniedException", message));
}

/** As the endpoint of another region answers. */
export function otherRegion(region: string): HttpFault {
  const message = `Credential should be scoped to a valid region, not '${region}'. `;
  return errorBefore("otherRegion", kinesisError(400, "InvalidSignatureException", message));
}

export function resourceNotFound(): HttpFault {
  const message = "Stream under account 000000000000 not found.";
  return errorBefore("resourceNotFound", kinesisError(400, "ResourceNotFoundException", message));
}

/** 5xx before Kinesis did anything. */
export function internalFailureBefore(status: 500 | 503 = 500): HttpFault {
  return errorBefore("internalFailureBefore", internalFailure(status));
}

/** 5xx after Kinesis did what it was asked for. */
export function internalFailureAfter(status: 500 | 503 = 500): HttpFault {
  return errorAfter("internalFailureAfter", internalFailure(status));
}

/** See `clockSkew`. */
export function kinesisClockSkew(skewMs: number): HttpFault {
  const message = "Signature expired: it is too far from the current time";
  const refused = kinesisError(400, "InvalidSignatureException", message);
  return clockSkew(skewMs, signatureToleranceMs, refused);
}

/**
 * On DescribeStreamSummary: an on-demand stream that spreads records over its shards, without regard to
 * partition keys and hash keys.
 */
export function autoDistribution(): HttpFault {
  return editDescription("autoDistribution", {
    StreamModeDetails: { StreamMode: "ON_DEMAND" },
    RecordDistributionStrategy: "AUTO",
  });
}

/** On DescribeStreamSummary. */
export function streamStatus(status: "CREATING" | "UPDATING" | "DELETING"): HttpFault {
  return editDescription("streamStatus", { StreamStatus: status });
}

/** On DescribeStreamSummary. */
export function retention(hours: number): HttpFault {
  return editDescription("retention", { RetentionPeriodHours: hours });
}

function editDescription(name: string, fields: Readonly<Record<string, unknown>>): HttpFault {
  return {
    name,
    strike: async (call: HttpCall) => {
      const answer = await call.forward();
      const description = jsonOf(answer.body)["StreamDescriptionSummary"];
      if (answer.status !== 200 || !description) return { unharmed: answer };
      return jsonAnswer(200, { StreamDescriptionSummary: { ...description, ...fields } });
    },
  };
}

function internalFailure(status: 500 | 503): HttpAnswer {
  return status === 500
    ? kinesisError(500, "InternalFailureException", "The request processing has failed.")
    : kinesisError(503, "ServiceUnavailableException", "The request has failed due to a temporary failure.");
}
