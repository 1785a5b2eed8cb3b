import type { FileIdentity } from "../data-folder/folder-identity.ts";

/**
 * Names the data folder whose gateway a request is for. The token is not enough, because a copy of a folder
 * holds the same one. Without this header, a command for the copy could change the original if only the
 * original runs.
 */
export const askedFolderHeader = "tidegate-folder";

export function askedFolderText({ device, inode }: FileIdentity): string {
  return `${device}:${inode}`;
}
