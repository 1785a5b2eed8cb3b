import { readdirSync, statSync } from "node:fs";

/**
 * Which file or folder of this machine a path leads to, whatever it is called: the same after `mv` and through a bind mount, another one
 * for a copy [stat(2): st_dev and st_ino]. The number of a device may change with a boot.
 */
export interface FileIdentity {
  readonly device: string;
  readonly inode: string;
  /** When its inode was made, ns since the epoch [statx(2): stx_btime]; no copy keeps that. null = the file system does not say. */
  readonly born: string | null;
}

/** null where there is none, or none that may be looked at. */
export function identifyFile(path: string): FileIdentity | null {
  try {
    const { dev, ino, birthtimeNs, ctimeNs } = statSync(path, { bigint: true });
    // Where it can't be told Node answers with 0, or with the time of the last change; a folder that has not changed yet is no different.
    const isTold = birthtimeNs !== 0n && birthtimeNs !== ctimeNs;
    return { device: String(dev), inode: String(ino), born: isTold ? String(birthtimeNs) : null };
  } catch {
    return null;
  }
}

/** The same on this machine, during one boot of it. */
export function isSameFile(left: FileIdentity, right: FileIdentity): boolean {
  return left.device === right.device && left.inode === right.inode;
}

/** The same over boots, and where its disk is put into another machine: only a clone of the whole disk is no different. */
export function isSameOverBoots(left: FileIdentity, right: FileIdentity): boolean {
  return (
    left.inode === right.inode && (left.born === null || right.born === null || left.born === right.born)
  );
}

/**
 * Whether a process of this machine has one of the files open; "unknown" where its descriptors may not be looked at, as those of another
 * user. An inode is not given away again while somebody has it open, so "held" is no chance.
 */
export function holdsOpen(pid: number, files: readonly FileIdentity[]): "held" | "not held" | "unknown" {
  const folder = `/proc/${pid}/fd`;
  try {
    const open = readdirSync(folder).map((descriptor) => identifyFile(`${folder}/${descriptor}`));
    const isHeld = open.some((each) => each !== null && files.some((file) => isSameFile(each, file)));
    return isHeld ? "held" : "not held";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "not held" : "unknown";
  }
}
