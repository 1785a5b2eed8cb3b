// Imports a copy of a file into a lake in S3, again and again under new names, until it is killed.
// Arguments: the lake's URL, a folder for its files, the file.
import { randomUUID } from "node:crypto";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { openS3Store } from "../../bridge/lake/stores/s3/open-s3-store.ts";
import { parseS3Url } from "../../bridge/lake/stores/s3/s3-url.ts";
import { s3Config } from "./s3-store.ts";

const [url = "", folder = "", file = ""] = process.argv.slice(2);
const config = s3Config({ timeoutMs: 20_000, connectTimeoutMs: 5000 });
const store = await openS3Store(parseS3Url(url), { config, folder, access: "read" });
const copy = join(store.stagingFolder, "copy.parquet");
await copyFile(file, copy);
process.stdout.write("ready\n");
await store.importFile(copy, `t/${randomUUID()}.parquet`);
process.stdout.write("done\n");
