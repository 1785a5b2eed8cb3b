import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../errors.ts";

/** Makes the folder where it isn't there, and makes sure that it can be written. Throws DATA_FOLDER_UNUSABLE. */
export function prepareDataFolder(folder: string): void {
  const probe = join(folder, `.probe-${randomUUID()}`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(probe, "probe");
    rmSync(probe);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GatewayError(
      "DATA_FOLDER_UNUSABLE",
      `The data folder ${folder} can't be used: ${reason}. Choose one that this user may write, with --data.`,
      { retryable: false, cause },
    );
  }
}
