import { readdirSync, statSync } from "node:fs";

/**
 * Which file or folder of this machine a path leads to, whatever it is called: the same after `mv` and through a bind mount, another one
 * for a copy [stat(2): st_dev and st_ino]. A device's number may change with a reboot.
 */
export interface FileIdentity {
  readonly device: string;
  readonly inode: string;
}

/** null where there is none, or none that may be looked at. */
export function identifyFile(path: string): FileIdentity | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return { device: String(dev), inode: String(ino) };
  } catch {
    return null;
  }
}

export function isSameFile(left: FileIdentity, right: FileIdentity): boolean {
  return left.device === right.device && left.inode === right.inode;
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
