import { randomUUID } from "node:crypto";
import { accessSync, constants, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolderDurably } from "../../devices/protocol/durable-folder.ts";
import { GatewayError } from "../errors.ts";

/** The lake may be elsewhere, and speaks for itself. */
const parts = ["registry", "stream"];

/** Makes the folder where it isn't there, and makes sure that it and what it holds can be written. Throws DATA_FOLDER_UNUSABLE. */
export function prepareDataFolder(folder: string): void {
  const probe = join(folder, `.probe-${randomUUID()}`);
  try {
    makeFolderDurably(folder);
    writeFileSync(probe, "probe");
    rmSync(probe);
    for (const part of parts) checkPart(join(folder, part));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GatewayError(
      "DATA_FOLDER_UNUSABLE",
      `The data folder ${folder} can't be used: ${reason}. Choose one that this user may write, with --data.`,
      { retryable: false, cause },
    );
  }
}

function checkPart(path: string): void {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts) return;
  if (!facts.isDirectory()) throw new Error(`${path} is not a folder`);
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
}
