import { resolve } from "node:path";
import type { KindTarget } from "../../../bridge/config.ts";
import { identifyFile } from "../../data-folder/folder-identity.ts";
import type { LakeKind } from "../lake-kind.ts";

export interface FileTarget extends KindTarget {
  readonly kind: "file";
  /** Absolute. */
  readonly folder: string;
}

export const fileKind: LakeKind<FileTarget> = {
  name: "file",
  label: "a folder",
  schemes: ["file:"],
  urlForm: "file:DIR",
  sections: {},
  readUrl,
  urlOf: ({ folder }) => `file:${folder}`,
  folderOf: ({ folder }) => folder,
  placeOf: ({ folder }) => ({ folder: identifyFile(folder), bucket: null }),
  open: async ({ folder }, _config, { stagingFolder }) => {
    const { openLocalStore, openLocalStoreForReading } = await import("../../../bridge/lake/index.ts");
    return stagingFolder === undefined
      ? await openLocalStore(folder)
      : openLocalStoreForReading(folder, stagingFolder);
  },
};

/** `file:DIR` (also `file:///abs/dir`), relative to the working directory. */
function readUrl(url: string): FileTarget | string {
  const path = url.slice("file:".length).replace(/^\/\/(?=\/)/, "");
  if (path === "" || path.startsWith("//")) return "name a folder after file:, for example file:data/lake";
  return { kind: "file", folder: resolve(path) };
}
