// Takes the lock of a data folder, prints "held", and holds it until it is killed; or prints the code of what refused it.
// Argument: the folder.
import { GatewayError } from "../../gateway/errors.ts";
import { DataFolderLock } from "../../gateway/supervisor/data-folder-lock.ts";

const [folder = ""] = process.argv.slice(2);
try {
  await DataFolderLock.acquire(folder, { pid: process.pid, startedAt: "then" });
  process.stdout.write("held\n");
} catch (error) {
  if (!(error instanceof GatewayError)) throw error;
  process.stdout.write(`${error.code}\n`);
}
