import type { KindTarget } from "../../bridge/config.ts";
import { kindOf } from "../settings/kind-of.ts";
import { fileKind } from "./file/file-kind.ts";
import type { LakeKind } from "./lake-kind.ts";
import { s3Kind } from "./s3/s3-kind.ts";

/** All kinds of places for a lake, in the order in which texts name them. */
// biome-ignore format: a line for each kind
export const lakeKinds: readonly LakeKind[] = [
  fileKind,
  s3Kind,
];

/** The URL of a lake in a folder of this machine. */
export function folderLakeUrl(folder: string): string {
  return `file:${folder}`;
}

export function lakeKind(target: KindTarget): LakeKind {
  return kindOf(lakeKinds, target);
}
