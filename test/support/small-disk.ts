import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A small file system in memory that fills up; null with the reason if mounting is not permitted. */
export function mountSmallDisk(bytes: number): { path: string; unmount: () => void } | { reason: string } {
  const path = mkdtempSync(join(tmpdir(), "tidegate-disk-"));
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path], {
    encoding: "utf8",
  });
  if (mount.status !== 0) {
    rmSync(path, { recursive: true });
    return { reason: `cannot mount a small tmpfs: ${(mount.stderr ?? String(mount.error)).trim()}` };
  }
  return {
    path,
    unmount: () => {
      spawnSync("umount", ["--lazy", path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
