// Loaded with --import into a process: SIGUSR2 makes it collect garbage and write what it then holds to the file
// LIVE_MEMORY_FOLDER/<its pid>.
import { renameSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

process.on("SIGUSR2", () => {
  collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  const file = `${process.env.LIVE_MEMORY_FOLDER}/${process.pid}`;
  writeFileSync(`${file}.new`, JSON.stringify({ liveBytes: heapUsed + external, residentBytes: rss }));
  renameSync(`${file}.new`, file);
});
