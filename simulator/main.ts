#!/usr/bin/env node
import { runCommandLine } from "./index.ts";

const stop = new AbortController();

function onSignal(): void {
  if (stop.signal.aborted) process.exit(1);
  stop.abort();
  process.stderr.write("stopping: waiting for acknowledgements; interrupt again to exit at once\n");
}

/** The reader of the output may close it early (`| head`). */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
process.on("SIGINT", onSignal);
process.on("SIGTERM", onSignal);

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stop: stop.signal,
});
