import assert from "node:assert/strict";
import { test } from "node:test";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { kinesisTargetOf } from "../../../../../bridge/streams/kinesis/kinesis-url.ts";

test("a URL names region, stream and, if given, an endpoint", () => {
  assert.deepEqual(kinesisTargetOf("kinesis://eu-central-1/Fleet.telemetry-1_a"), {
    region: "eu-central-1",
    streamName: "Fleet.telemetry-1_a",
    endpoint: undefined,
  });
  const { endpoint } = kinesisTargetOf("kinesis://us-gov-west-1/s?endpoint=http://127.0.0.1:4567");
  assert.equal(endpoint, "http://127.0.0.1:4567/");
});

test("an invalid URL is refused with what to write instead", () => {
  const wrong: [string, RegExp][] = [
    ["nonsense", /no Kinesis URL/],
    ["redis://eu-central-1/s", /no Kinesis URL/],
    ["kinesis:", /no Kinesis URL/],
    ["kinesis:///s", /no Kinesis URL/],
    ["kinesis://eu-central-1", /names no stream/],
    ["kinesis://eu-central-1/", /names no stream/],
    ["kinesis://eu-central-1/a/b", /a stream's name is/],
    [`kinesis://eu-central-1/${"a".repeat(129)}`, /a stream's name is/],
    ["kinesis://localhost/s", /localhost is no region/],
    ["kinesis://127.0.0.1/s", /is no region/],
    ["kinesis://eu-central-1:4567/s", /endpoint=/],
    ["kinesis://eu-central-1/s?endpont=http://a", /no parameter endpont/],
    ["kinesis://eu-central-1/s?endpoint=127.0.0.1:4567", /http or https/],
    ["kinesis://eu-central-1/s?endpoint=ftp://a", /http or https/],
  ];
  for (const [url, reason] of wrong)
    assert.throws(
      () => kinesisTargetOf(url),
      (error: unknown) => {
        assert.ok(error instanceof BridgeError);
        assert.equal(error.code, "KINESIS_URL_INVALID");
        assert.match(error.message, reason, url);
        assert.match(error.message, /kinesis:\/\/REGION\/STREAM/);
        return true;
      },
    );
});

test("credentials are refused at any place, and never repeated", () => {
  for (const url of [
    "kinesis://AKIA:s3cret@eu-central-1/s",
    "kinesis://eu-central-1/s?endpoint=http://AKIA:s3cret@127.0.0.1:1",
  ])
    assert.throws(
      () => kinesisTargetOf(url),
      (error: unknown) => {
        assert.ok(error instanceof BridgeError);
        assert.equal(error.code, "KINESIS_URL_INVALID");
        assert.match(error.message, /credentials/);
        assert.doesNotMatch(error.message, /AKIA|s3cret/);
        return true;
      },
    );
});
