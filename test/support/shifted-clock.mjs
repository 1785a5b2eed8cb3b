// Loaded with --import into a process: its wall clock is off by CLOCK_SHIFT_MS.
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
