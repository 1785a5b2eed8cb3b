// Takes the lock of a data folder, prints "held", and holds it until it is killed; or prints the code of the
// error. Argument: the folder.

import { DataFolderLock } from "../../gateway/data-folder/data-folder-lock.ts";
import { GatewayError } from "../../gateway/errors.ts";

const [folder = ""] = process.argv.slice(2);
try {
  await DataFolderLock.acquire(folder, { pid: process.pid, startedAt: "then" });
  process.stdout.write("held\n");
} catch (error) {
  if (!(error instanceof GatewayError)) throw error;
  process.stdout.write(`${error.code}\n`);
}
