import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A client of a local S3 server or of a proxy in front of it. */
export function localS3Client(
  url: string,
  credentials: S3Credentials,
  options: { readonly maxAttempts?: number } = {},
): S3Client {
  // The locked version runs on the Node that it is tested with.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  return new S3Client({ endpoint: url, region: "us-east-1", forcePathStyle: true, credentials, ...options });
}

export async function createBucket(client: S3Client, bucket: string): Promise<void> {
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
}
