#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { shownTitle } from "../devices/protocol/shown-url.ts";
import { type RoleName, roleNames } from "./processes/messages.ts";

const program = fileURLToPath(import.meta.url);
const role = roleNames.find((name) => name === process.argv[2]);
// A supervisor forks this program with the name of a role as its argument, and with a channel to the
// supervisor.
if (role && process.send) await runRole(role);
else await runCommand();

async function runRole(name: RoleName): Promise<void> {
  const [{ runChild }, { startRole }] = await Promise.all([
    import("./processes/run-child.ts"),
    import("./roles/start-role.ts"),
  ]);
  runChild(name, startRole[name]);
}

async function runCommand(): Promise<void> {
  const title = shownTitle(process.argv);
  if (title !== null) process.title = title;
  ignoreClosedPipe(process.stdout);
  const { runCommandLine } = await import("./cli/run-command-line.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2), {
    streams: {
      out: (text) => void process.stdout.write(text),
      error: (text) => void process.stderr.write(text),
    },
    variables: process.env,
    version: packageVersion(),
    program,
  });
}

/** `package.json` is one folder above the sources, and two above the compiled files. */
function packageVersion(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
      if (name === "tidegate") return version;
    } catch {
      // Not this one.
    }
  }
  return "unknown";
}

/** The reader of the output may close the pipe early (`| head`). */
function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}
