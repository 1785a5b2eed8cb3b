import assert from "node:assert/strict";
import { test } from "node:test";
import { s3Operation } from "../../../../../simulator/prove/fault-proxies/s3-operation.ts";

test("calls of S3 are named as in its API", () => {
  const calls = {
    "GET /": "ListBuckets",
    "PUT /lake": "CreateBucket",
    "HEAD /lake": "HeadBucket",
    "HEAD /lake/": "HeadBucket",
    "GET /lake?list-type=2&prefix=a%2F": "ListObjectsV2",
    "GET /lake?uploads": "ListMultipartUploads",
    "POST /lake?delete": "DeleteObjects",
    "PUT /lake/a/b?x-id=PutObject": "PutObject",
    "GET /lake/a/b?x-id=GetObject": "GetObject",
    "HEAD /lake/a": "HeadObject",
    "DELETE /lake/a?x-id=DeleteObject": "DeleteObject",
    "POST /lake/a?uploads": "CreateMultipartUpload",
    "PUT /lake/a?partNumber=1&uploadId=u": "UploadPart",
    "POST /lake/a?uploadId=u": "CompleteMultipartUpload",
    "DELETE /lake/a?uploadId=u": "AbortMultipartUpload",
    "GET /lake/a?uploadId=u": "ListParts",
    "PUT /lake/a?acl": "PUT object?acl",
  };
  for (const [call, operation] of Object.entries(calls)) {
    const [method = "", url = ""] = call.split(" ");
    assert.equal(s3Operation(method, url, {}), operation, call);
  }
  const copy = { "x-amz-copy-source": "/lake/b" };
  assert.equal(s3Operation("PUT", "/lake/a", copy), "CopyObject");
  assert.equal(s3Operation("PUT", "/lake/a?partNumber=1&uploadId=u", copy), "UploadPartCopy");
});
