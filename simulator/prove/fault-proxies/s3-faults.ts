import { clockSkew, errorAfter, errorBefore, type HttpAnswer, type HttpFault } from "./http-fault.ts";
import type { HttpFaultProxy, InjectedFault } from "./http-fault-proxy.ts";

/** Requests signed further than this from S3's clock are refused. */
const signatureToleranceMs = 900_000;

/** Everything that changes a bucket. */
const writes = [
  "PutObject",
  "CopyObject",
  "CreateMultipartUpload",
  "UploadPart",
  "UploadPartCopy",
  "CompleteMultipartUpload",
  "AbortMultipartUpload",
  "DeleteObject",
  "DeleteObjects",
] as const;

/** An error as S3 words it. */
export function s3Error(status: number, code: string, message: string): HttpAnswer {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return { status, headers: { "content-type": "application/xml" }, body: Buffer.from(xml) };
}

/** 503 SlowDown, and nothing was done. */
export function slowDownBefore(): HttpFault {
  return errorBefore("slowDownBefore", slowDown());
}

/** 503 SlowDown although it was done. */
export function slowDownAfter(): HttpFault {
  return errorAfter("slowDownAfter", slowDown());
}

/** 500 InternalError, and nothing was done. */
export function internalErrorBefore(): HttpFault {
  return errorBefore("internalErrorBefore", internalError());
}

/** 500 InternalError although it was done. */
export function internalErrorAfter(): HttpFault {
  return errorAfter("internalErrorAfter", internalError());
}

/**
 * On PutObject with If-None-Match: the answer of S3 while a rival writes the same key. Nothing was written.
 */
export function conditionalConflict(): HttpFault {
  const message = "A conflicting conditional operation is currently in progress against this resource.";
  return errorBefore("conditionalConflict", s3Error(409, "ConditionalRequestConflict", message));
}

export function s3AccessDenied(): HttpFault {
  return errorBefore("accessDenied", s3Error(403, "AccessDenied", "Access Denied"));
}

/** The bucket can be read and listed, but not changed, until the fault is removed. */
export function makeReadOnly(proxy: HttpFaultProxy): InjectedFault {
  return proxy.inject({ ...s3AccessDenied(), name: "readOnly" }, { on: writes });
}

export function noSuchBucket(): HttpFault {
  return errorBefore("noSuchBucket", s3Error(404, "NoSuchBucket", "The specified bucket does not exist"));
}

/** As a bucket of another region answers. */
export function wrongRegion(region: string): HttpFault {
  const message = `The bucket is in this region: ${region}. Please use this region to retry the request`;
  const answer = s3Error(301, "PermanentRedirect", message);
  return errorBefore("wrongRegion", {
    ...answer,
    headers: { ...answer.headers, "x-amz-bucket-region": region },
  });
}

/**
 * See `clockSkew`. radosgw refuses calls that a client signed for that clock. s3rver accepts them if the
 * clock is off by less than 15 minutes.
 */
export function s3ClockSkew(skewMs: number): HttpFault {
  const message = "The difference between the request time and the current time is too large.";
  return clockSkew(skewMs, signatureToleranceMs, s3Error(403, "RequestTimeTooSkewed", message));
}

function slowDown(): HttpAnswer {
  return s3Error(503, "SlowDown", "Please reduce your request rate.");
}

function internalError(): HttpAnswer {
  return s3Error(500, "InternalError", "We encountered an internal error. Please try again.");
}
