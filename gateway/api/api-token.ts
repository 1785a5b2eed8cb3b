import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { syncEntry } from "../../devices/protocol/durable-folder.ts";
import { GatewayError } from "../errors.ts";

const fileName = "api-token";
const tokenBytes = 32;

export function apiTokenFile(dataFolder: string): string {
  return join(dataFolder, fileName);
}

/** The token of this data folder; created at the first start, readable by its owner only. */
export function ensureApiToken(dataFolder: string): string {
  const file = apiTokenFile(dataFolder);
  try {
    const handle = openSync(file, "wx", 0o600);
    try {
      writeSync(handle, `${randomBytes(tokenBytes).toString("base64url")}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    syncEntry(dataFolder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  chmodSync(file, 0o600);
  const token = readFileSync(file, "utf8").trim();
  if (token.length < tokenBytes)
    throw new GatewayError(
      "DATA_FOLDER_UNUSABLE",
      `${file} holds no token: remove the file, and the next start creates a new one.`,
      {
        retryable: false,
      },
    );
  return token;
}

/** Compares in constant time. */
export function isRightToken(expected: string, authorization: string | undefined): boolean {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? "";
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
