import type { IncomingHttpHeaders } from "node:http";

/**
 * The API name of an S3 request with the bucket in its path. Other calls than those of a lake are named by
 * method and parameter: `PUT object?acl`.
 */
export function s3Operation(method: string, url: string, headers: IncomingHttpHeaders): string {
  const { pathname, searchParams } = new URL(url, "http://s3");
  const isObject = /^\/[^/]+\/./.test(pathname);
  const has = (name: string) => searchParams.has(name);
  const known = isObject
    ? objectOperation(method, has, headers["x-amz-copy-source"] !== undefined)
    : bucketOperation(method, has, pathname === "/");
  return known ?? `${method} ${isObject ? "object" : "bucket"}?${[...searchParams.keys()].join("&")}`;
}

function objectOperation(
  method: string,
  has: (name: string) => boolean,
  isCopy: boolean,
): string | undefined {
  if (has("uploadId"))
    return {
      PUT: isCopy ? "UploadPartCopy" : "UploadPart",
      POST: "CompleteMultipartUpload",
      DELETE: "AbortMultipartUpload",
      GET: "ListParts",
    }[method];
  if (has("uploads")) return method === "POST" ? "CreateMultipartUpload" : undefined;
  if (["acl", "tagging", "retention", "legal-hold", "attributes"].some(has)) return undefined;
  return {
    PUT: isCopy ? "CopyObject" : "PutObject",
    GET: "GetObject",
    HEAD: "HeadObject",
    DELETE: "DeleteObject",
  }[method];
}

function bucketOperation(
  method: string,
  has: (name: string) => boolean,
  isService: boolean,
): string | undefined {
  if (isService) return method === "GET" ? "ListBuckets" : undefined;
  if (method === "POST") return has("delete") ? "DeleteObjects" : undefined;
  if (method === "HEAD") return "HeadBucket";
  if (method === "GET" && has("list-type")) return "ListObjectsV2";
  if (method === "GET" && has("uploads")) return "ListMultipartUploads";
  if (method === "GET" && has("location")) return "GetBucketLocation";
  return { PUT: "CreateBucket", DELETE: "DeleteBucket", GET: "ListObjects" }[method];
}
