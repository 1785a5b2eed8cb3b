import assert from "node:assert/strict";
import { test } from "node:test";
import { BridgeError, type BridgeErrorCode } from "../../../../../bridge/errors.ts";
import { exceptionOf, isPassing, kinesisError } from "../../../../../bridge/streams/kinesis/kinesis-error.ts";

const target = { region: "eu-central-1", streamName: "fleet", endpoint: undefined };

function exception(name: string, message = "it failed", more: object = {}): Error {
  return Object.assign(new Error(message), { name }, more);
}

function meaning(cause: Error, api = "PutRecords"): BridgeError {
  return kinesisError(cause, api, target);
}

test("each failure has one meaning, and is retryable only if a retry helps", () => {
  const meanings: [string, BridgeErrorCode, boolean][] = [
    ["ProvisionedThroughputExceededException", "KINESIS_THROTTLED", true],
    ["LimitExceededException", "KINESIS_THROTTLED", true],
    ["KMSThrottlingException", "KINESIS_THROTTLED", true],
    ["ResourceNotFoundException", "STREAM_MISSING", false],
    ["AccessDeniedException", "KINESIS_DENIED", false],
    ["CredentialsProviderError", "KINESIS_DENIED", false],
    ["UnrecognizedClientException", "KINESIS_DENIED", false],
    ["ExpiredTokenException", "KINESIS_DENIED", false],
    ["InvalidSignatureException", "KINESIS_DENIED", false],
    ["RequestExpired", "KINESIS_DENIED", false],
    ["KMSDisabledException", "KINESIS_DENIED", false],
    ["InvalidArgumentException", "KINESIS_REFUSED", false],
    ["ValidationException", "KINESIS_REFUSED", false],
    ["InternalFailureException", "KINESIS_UNAVAILABLE", true],
    ["ServiceUnavailableException", "KINESIS_UNAVAILABLE", true],
    ["TimeoutError", "KINESIS_UNAVAILABLE", true],
    ["SyntaxError", "KINESIS_UNAVAILABLE", true],
    ["Error", "KINESIS_UNAVAILABLE", true],
  ];
  for (const [name, code, retryable] of meanings) {
    const error = meaning(exception(name));
    assert.deepEqual([name, error.code, error.retryable], [name, code, retryable]);
    assert.equal(exceptionOf(error), name);
    assert.match(error.message, /kinesis:PutRecords on fleet in eu-central-1/);
  }
});

test("the message names what a person must correct: the right, the stream, the clock or the key", () => {
  const mends: [string, RegExp][] = [
    ["AccessDeniedException", /Allow kinesis:ListShards on the stream/],
    ["ResourceNotFoundException", /Create the stream fleet in eu-central-1 \(--create/],
    ["CredentialsProviderError", /AWS_ACCESS_KEY_ID/],
    ["RequestTimeTooSkewed", /Set the clock/],
    ["KMSAccessDeniedException", /kms:GenerateDataKey/],
    ["SyntaxError", /another service, .*answers/],
  ];
  for (const [name, mend] of mends) assert.match(meaning(exception(name), "ListShards").message, mend);
  const foreign = exception("InvalidSignatureException", "Credential should be scoped to a valid region");
  assert.match(meaning(foreign).message, /correct the region in the URL/);
  const unknown = exception("Error", "getaddrinfo ENOTFOUND kinesis.eu-cental-1.amazonaws.com", {
    code: "ENOTFOUND",
  });
  assert.deepEqual([meaning(unknown).code, meaning(unknown).retryable], ["KINESIS_UNAVAILABLE", true]);
  assert.match(meaning(unknown).message, /there is no region eu-central-1/);
  const endpoint = "https://kinesis.example.invalid";
  const elsewhere = kinesisError(unknown, "PutRecords", { ...target, endpoint });
  assert.match(elsewhere.message, /kinesis\.example\.invalid is wrong/);
  const skewed = meaning(exception("InvalidSignatureException", "Signature expired: 20261123T010000Z"));
  assert.deepEqual([skewed.code, skewed.retryable], ["KINESIS_DENIED", false]);
  assert.match(skewed.message, /Set the clock/);
});

test("a clock that the SDK corrects for is worth another try", () => {
  const $metadata = { clockSkewCorrected: true };
  const error = meaning(exception("InvalidSignatureException", "Signature expired", { $metadata }));
  assert.deepEqual([error.code, error.retryable], ["KINESIS_UNAVAILABLE", true]);
});

test("errors of ours pass through, and only passing ones are worth waiting for", () => {
  const closed = new BridgeError("STREAM_CLOSED", "closed", { retryable: false });
  assert.equal(kinesisError(closed, "PutRecords", target), closed);
  assert.equal(isPassing(closed), false);
  assert.equal(isPassing(meaning(exception("AccessDeniedException"))), false);
  assert.equal(isPassing(meaning(exception("LimitExceededException"))), true);
  assert.equal(isPassing(new Error("other")), false);
});
