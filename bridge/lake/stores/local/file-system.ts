import { link, mkdir, open, readdir, readFile, rename, rmdir, stat, statfs, unlink } from "node:fs/promises";

/** An open file or folder, for writing or flushing. */
export interface OpenFile {
  write(bytes: Uint8Array): Promise<void>;
  /** fsync: resolves once a file's data or a folder's entries are on the disk. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface FolderEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/**
 * The file system calls of the local store. Tests replace it by one that forgets everything not flushed.
 * Rejects with Node's errors and their `code` (ENOENT, EEXIST, ENOSPC …).
 */
export interface FileSystem {
  /** Creates a new file; rejects with EEXIST if it exists. */
  create(path: string): Promise<OpenFile>;
  /** Opens an existing file or folder for `flush`. */
  open(path: string): Promise<OpenFile>;
  read(path: string): Promise<Uint8Array>;
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  makeFolder(path: string): Promise<void>;
  /** Removes an empty folder. */
  removeFolder(path: string): Promise<void>;
  readFolder(path: string): Promise<FolderEntry[]>;
  stat(path: string): Promise<{ bytes: number; modifiedAtMs: number }>;
  freeBytes(path: string): Promise<number>;
}

async function openFile(path: string, flags: "wx" | "r"): Promise<OpenFile> {
  const handle = await open(path, flags, 0o644);
  return {
    write: async (bytes) => {
      await handle.writeFile(bytes);
    },
    flush: () => handle.sync(),
    close: () => handle.close(),
  };
}

export const nodeFileSystem: FileSystem = {
  create: (path) => openFile(path, "wx"),
  open: (path) => openFile(path, "r"),
  read: (path) => readFile(path),
  link,
  rename,
  unlink,
  makeFolder: async (path) => {
    await mkdir(path);
  },
  removeFolder: rmdir,
  readFolder: async (path) => {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
  },
  stat: async (path) => {
    const { size, mtimeMs } = await stat(path);
    return { bytes: size, modifiedAtMs: Math.floor(mtimeMs) };
  },
  freeBytes: async (path) => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Null if the file or folder does not exist. */
export async function absentAsNull<Result>(work: Promise<Result>): Promise<Result | null> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw error;
  }
}
