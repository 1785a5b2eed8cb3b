import { execFile } from "node:child_process";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import type { BackendUrls } from "./backends.ts";

interface Answer {
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly details?: Record<string, unknown>;
  };
}

/**
 * Refuses what `tidegate up` would refuse, before anything is started. The gateway's own `config check`
 * decides. Throws with its code, CONFIG_INVALID.
 *
 * @param program The gateway's main file.
 */
export async function checkUrls(program: string, urls: BackendUrls): Promise<void> {
  const flags = Object.entries(urls).flatMap(([name, url]) => [`--${name}`, url]);
  if (flags.length === 0) return;
  const { error } = await answerOf(program, ["config", "check", ...flags, "--json"]);
  if (error)
    throw new CodedError(error.code, error.message, { retryable: false, details: error.details ?? {} });
}

function answerOf(program: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith("TIDEGATE_")),
    );
    execFile(process.execPath, [...process.execArgv, program, ...args], { env }, (error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Answer);
      } catch {
        reject(new Error(`the gateway can't check the URLs: ${stderr || stdout || error?.message}`));
      }
    });
  });
}
