#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CommanderError } from "commander";
import type { CommandEnvironment } from "./cli/command-context.ts";
import { createProgram } from "./cli/program.ts";
import { startRole } from "./roles.ts";
import { type RoleName, roleNames } from "./supervisor/messages.ts";
import { runChild } from "./supervisor/run-child.ts";

const program = fileURLToPath(import.meta.url);
const role = roleNames.find((name) => name === process.argv[2]);
// A supervisor forks this same program with the name of a role and a channel to itself.
if (role && process.send) runChild(role, startRole[role satisfies RoleName]);
else await runCommand(process.argv);

async function runCommand(argv: readonly string[]): Promise<void> {
  const environment: CommandEnvironment = {
    streams: {
      out: (text) => void process.stdout.write(text),
      error: (text) => void process.stderr.write(text),
    },
    variables: process.env,
    version: packageVersion(),
    program,
    exit: (code) => {
      process.exitCode = code;
    },
  };
  ignoreClosedPipe(process.stdout);
  try {
    await createProgram(environment).parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version are shown by throwing as well; everything else is wrong usage.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
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
