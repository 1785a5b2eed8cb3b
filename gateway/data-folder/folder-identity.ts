import { readdirSync, statSync } from "node:fs";

/**
 * Identifies a file or folder of this machine independently of its path: equal after `mv` and through a bind
 * mount, different for a copy [stat(2): st_dev and st_ino]. Device numbers may change with a boot.
 */
export interface FileIdentity {
  readonly device: string;
  readonly inode: string;
  /**
   * Creation time of the inode, ns since the epoch [statx(2): stx_btime]; a copy has another one. null =
   * unknown to the file system.
   */
  readonly born: string | null;
}

/** null if the path does not exist, or may not be read. */
export function identifyFile(path: string): FileIdentity | null {
  try {
    const { dev, ino, birthtimeNs, ctimeNs } = statSync(path, { bigint: true });
    // If the time is unknown, Node returns 0 or the time of the last change. These are also equal for a
    // folder without changes.
    const isTold = birthtimeNs !== 0n && birthtimeNs !== ctimeNs;
    return { device: String(dev), inode: String(ino), born: isTold ? String(birthtimeNs) : null };
  } catch {
    return null;
  }
}

/** Compares files of this machine during one boot. */
export function isSameFile(left: FileIdentity, right: FileIdentity): boolean {
  return left.device === right.device && left.inode === right.inode;
}

/**
 * Compares files across boots and machines, if the disk moves. Only a clone of the whole disk cannot be told
 * apart.
 */
export function isSameOverBoots(left: FileIdentity, right: FileIdentity): boolean {
  return (
    left.inode === right.inode && (left.born === null || right.born === null || left.born === right.born)
  );
}

/**
 * Whether a process of this machine has one of the files open; "unknown" if its descriptors may not be read,
 * such as those of another user. An open inode is not reused, so "held" is certain.
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
