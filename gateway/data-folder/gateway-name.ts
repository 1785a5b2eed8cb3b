import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type FileIdentity, identifyFile, isSameOverBoots } from "./folder-identity.ts";

const fileName = "gateway-id";
const idBytes = 4;

/**
 * The name of this gateway among those that share a Redis: its machine, and an id that the data folder keeps
 * across restarts. Two gateways on one machine differ by the id, copies on different machines by the machine.
 * A copy on the same machine gets a new id: with the same id it would take over the leases of the original.
 */
export function gatewayName(dataFolder: string): string {
  return `${hostname()}/${idOf(dataFolder)}`;
}

/**
 * The file holds the id, and on a second line the folder to which the id belongs. Version 0.1.0 wrote only
 * the id.
 */
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
