import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

const fileName = "gateway-id";
const idBytes = 4;

/**
 * What this gateway is called among those that share a Redis: its machine, and an id that its data folder keeps over restarts.
 * Two on one machine differ by the id, folders that were copied to another machine by its name.
 */
export function gatewayName(dataFolder: string): string {
  const file = join(dataFolder, fileName);
  try {
    writeFileSync(file, `${randomBytes(idBytes).toString("hex")}\n`, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return `${hostname()}/${readFileSync(file, "utf8").trim()}`;
}
