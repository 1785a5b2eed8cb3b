import { SimulatorError } from "../errors.ts";
import type { LakeFiles } from "./lake-files.ts";
import { LocalLake } from "./local-lake.ts";
import { readS3Place, S3Lake } from "./s3-lake.ts";

/** Opens the lake that a URL names: `file:DIR` or `s3://BUCKET/PREFIX`. Throws AUDIT_USAGE. */
export function openLake(url: string): LakeFiles {
  if (/^s3:/.test(url)) {
    const place = readS3Place(url);
    if (place) return new S3Lake(place);
    throw wrongLake(
      "an S3 lake must be s3://BUCKET/PREFIX, with ?endpoint=URL and &region=NAME if needed, and without credentials, which come from the environment",
    );
  }
  const folder = folderOfUrl(url);
  if (folder === undefined)
    throw wrongLake(`${url}: it must be file:DIR or s3://BUCKET/PREFIX, for example --lake file:data/lake`);
  const lake = LocalLake.open(folder);
  if (typeof lake === "string") throw wrongLake(`${url}: ${lake}`);
  return lake;
}

/** undefined if the URL names no folder. */
export function folderOfUrl(url: string): string | undefined {
  return /^file:(?:\/\/(?=\/))?(.+)$/.exec(url)?.[1];
}

function wrongLake(fault: string): SimulatorError {
  return new SimulatorError("AUDIT_USAGE", `--lake ${fault}`, { retryable: false });
}
