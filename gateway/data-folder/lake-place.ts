import { type FileIdentity, isSameOverBoots } from "./folder-identity.ts";

export interface LakePlace {
  /** null = the lake is not on a disk of this machine, or does not exist yet. */
  readonly folder: FileIdentity | null;
  /** `bucket/prefix`; null = the lake is in a folder. */
  readonly bucket: string | null;
}

export function isSameLake(left: LakePlace, right: LakePlace): boolean {
  if (left.bucket !== null || right.bucket !== null) return left.bucket === right.bucket;
  return left.folder !== null && right.folder !== null && isSameOverBoots(left.folder, right.folder);
}
