import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type FileIdentity, identifyFile, isSameOverBoots } from "./folder-identity.ts";

const fileName = "gateway-id";
const idBytes = 4;

/**
 * What this gateway is called among those that share a Redis: its machine, and an id that its data folder keeps over restarts.
 * Two on one machine differ by the id, folders that were copied to another machine by its name. A copy on the same machine gets another
 * id: with that of the original it would take over the original's leases for good.
 */
export function gatewayName(dataFolder: string): string {
  return `${hostname()}/${idOf(dataFolder)}`;
}

/** The file holds the id, and on a second line the folder that it belongs to; version 0.1.0 wrote the id alone. */
function idOf(dataFolder: string): string {
  const file = join(dataFolder, fileName);
  const folder = identifyFile(dataFolder);
  const [known = "", line = ""] = textOf(file).split("\n");
  const owner = ownerOf(line);
  const isOurs = known !== "" && (owner === null || folder === null || isSameOverBoots(owner, folder));
  const id = isOurs ? known : randomBytes(idBytes).toString("hex");
  const text = `${id}\n${JSON.stringify(folder)}\n`;
  if (text !== textOf(file)) {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }
  return id;
}

function ownerOf(line: string): FileIdentity | null {
  try {
    return JSON.parse(line) as FileIdentity | null;
  } catch {
    return null;
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
