// Loaded with --import into a process: shifts its wall clock by CLOCK_SHIFT_MS, and lets it believe that the
// machine was started with the id BOOT_ID, if there is one.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const shiftMs = Number(process.env.CLOCK_SHIFT_MS ?? 0);
const SystemDate = Date;

globalThis.Date = class ShiftedDate extends SystemDate {
  constructor(...values) {
    if (values.length === 0) super(SystemDate.now() + shiftMs);
    else super(...values);
  }

  static now() {
    return SystemDate.now() + shiftMs;
  }
};

const bootId = process.env.BOOT_ID;
if (bootId) {
  const { readFileSync } = fs;
  fs.readFileSync = (path, ...options) => {
    const isBootId = path === "/proc/sys/kernel/random/boot_id";
    return isBootId ? `${bootId}\n` : readFileSync(path, ...options);
  };
  syncBuiltinESMExports();
}
