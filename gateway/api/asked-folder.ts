import type { FileIdentity } from "../supervisor/folder-identity.ts";

/**
 * Names the data folder whose gateway a request is for. The token alone does not: a copy of a folder holds the same one, so without this
 * a command for a gateway on the copy could change the original, where only that one runs.
 */
export const askedFolderHeader = "tidegate-folder";

export function askedFolderText({ device, inode }: FileIdentity): string {
  return `${device}:${inode}`;
}
