import { readFileSync } from "node:fs";
import { GatewayError } from "../errors.ts";
import { fileFault } from "../input/file-fault.ts";

/**
 * The first line, so that an editor's last line break does not count.
 * @param file `-` is stdin. @throws GatewayError USAGE_INVALID, which names the flag.
 */
export function readPasswordFile(flag: string, file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8").split(/\r?\n/)[0] ?? "";
  } catch (error) {
    const text = `${flag} ${file}: ${fileFault(error)}.`;
    throw new GatewayError("USAGE_INVALID", text, { retryable: false });
  }
}
