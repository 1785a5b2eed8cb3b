/** A file that can be read in parts. */
export interface LakeFile {
  readonly bytes: number;
  slice(start: number, end: number): Promise<ArrayBuffer>;
  close(): Promise<void>;
}

/** PORT: the lake as the audit reads it. Paths are relative to the lake's root, with `/`. */
export interface LakeFiles {
  /** Names in a folder, in no order; [] if there is no such folder. */
  list(folder: string): Promise<string[]>;
  /** null if there is no such file. */
  open(path: string): Promise<LakeFile | null>;
  /** When the file was written, by the clock of its store, in ms; null if there is no such file. */
  modifiedAtMs(path: string): Promise<number | null>;
}

/** All bytes of a file; null if there is no such file. */
export async function readWhole(lake: LakeFiles, path: string): Promise<Buffer | null> {
  const file = await lake.open(path);
  if (!file) return null;
  try {
    return Buffer.from(await file.slice(0, file.bytes));
  } finally {
    await file.close();
  }
}
