import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BridgeError } from "../../../../../bridge/errors.ts";
import { parseS3Url, s3Url } from "../../../../../bridge/lake/stores/s3/s3-url.ts";

test("a bucket, a prefix, an endpoint and a region are read from the URL", () => {
  assert.deepEqual(parseS3Url("s3://my-bucket"), {
    bucket: "my-bucket",
    prefix: "",
    endpoint: undefined,
    region: undefined,
    isPathStyle: false,
  });
  assert.deepEqual(parseS3Url("s3://my.bucket/a/b/?endpoint=http://127.0.0.1:9000/&region=eu-central-1"), {
    bucket: "my.bucket",
    prefix: "a/b",
    endpoint: "http://127.0.0.1:9000",
    region: "eu-central-1",
    isPathStyle: true,
  });
  assert.equal(parseS3Url("s3://bucket?endpoint=https://s3.example.com&pathStyle=false").isPathStyle, false);
  assert.equal(parseS3Url("s3://bucket?pathStyle=true").isPathStyle, true);
});

test("a parsed URL can be written again", () => {
  const part = fc.stringMatching(/^[a-zA-Z0-9_=-]{1,20}$/);
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$/),
      fc.array(part, { maxLength: 4 }),
      fc.option(fc.constantFrom("http://127.0.0.1:9000", "https://s3.example.com/path"), { nil: undefined }),
      fc.option(fc.constantFrom("eu-west-1", "us-east-1"), { nil: undefined }),
      fc.boolean(),
      (bucket, parts, endpoint, region, isPathStyle) => {
        const target = { bucket, prefix: parts.join("/"), endpoint, region, isPathStyle };
        assert.deepEqual(parseS3Url(s3Url(target)), target);
      },
    ),
  );
});

test("credentials are refused without being repeated", () => {
  for (const url of [
    "s3://AKIAKEY:topsecret@bucket/lake",
    "s3://topsecret@bucket/lake",
    "s3://bucket/lake?secretAccessKey=topsecret",
    "s3://bucket/lake?accessKeyId=topsecret",
    "s3://bucket/lake?session_token=topsecret",
    "s3://bucket/lake?endpoint=http://user:topsecret@127.0.0.1:9000",
  ])
    assert.throws(
      () => parseS3Url(url),
      (error) => {
        assert.ok(error instanceof BridgeError);
        assert.equal(error.code, "S3_URL_INVALID");
        assert.match(error.message, /AWS_ACCESS_KEY_ID/);
        assert.doesNotMatch(error.message, /topsecret/);
        return true;
      },
      url,
    );
});

test("any other URL is refused, and the error shows how to write one", () => {
  for (const url of [
    "s3:",
    "s3://",
    "s3://b",
    "s3://UPPER_case!/x",
    "s3://bucket/a//b",
    "s3://bucket/a b",
    "s3://bucket/é",
    `s3://bucket/${"x".repeat(200)}`,
    "s3://bucket?endpoint=127.0.0.1:9000",
    "s3://bucket?endpoint=ftp://x",
    "s3://bucket?endpoint=http://x/?a=1",
    "s3://bucket?region=eu west",
    "s3://bucket?pathStyle=yes",
    "s3://bucket?prefix=x",
    "http://bucket/x",
  ])
    assert.throws(() => parseS3Url(url), { code: "S3_URL_INVALID", message: /Write s3:\/\/BUCKET/ }, url);
});
