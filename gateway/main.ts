#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runCommandLine } from "./cli/run-command-line.ts";
import { startRole } from "./roles/start-role.ts";
import { shownTitle } from "./settings/secrets.ts";
import { type RoleName, roleNames } from "./supervisor/messages.ts";
import { runChild } from "./supervisor/run-child.ts";

const program = fileURLToPath(import.meta.url);
const role = roleNames.find((name) => name === process.argv[2]);
// A supervisor forks this same program with the name of a role and a channel to itself.
if (role && process.send) runChild(role, startRole[role satisfies RoleName]);
else await runCommand();

async function runCommand(): Promise<void> {
  const title = shownTitle(process.argv);
  if (title !== null) process.title = title;
  ignoreClosedPipe(process.stdout);
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

/** `package.json` is one folder up from the sources and two from what is compiled. */
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

/** Whoever reads us may have seen enough (`| head`). */
function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}
