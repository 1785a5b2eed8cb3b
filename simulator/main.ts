#!/usr/bin/env node
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { shownTitle } from "../devices/protocol/shown-url.ts";
import { runCommandLine } from "./index.ts";

const program = fileURLToPath(import.meta.url);
const title = shownTitle(process.argv);
if (title !== null) process.title = title;
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
// A proof ends all that it has started, then itself.
if (process.argv[2] !== "prove") for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, onSignal);

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stop: stop.signal,
  gateway: join(dirname(program), "..", "gateway", `main${extname(program)}`),
});
