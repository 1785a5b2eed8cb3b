#!/usr/bin/env node
import { runCommandLine } from "./command/commands.ts";

const stop = new AbortController();

function onSignal(): void {
  if (stop.signal.aborted) process.exit(1);
  stop.abort();
  process.stderr.write("stopping: waiting for what is not acknowledged; interrupt again to exit at once\n");
}

process.on("SIGINT", onSignal);
process.on("SIGTERM", onSignal);

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stop: stop.signal,
});
