/** `warn`: somebody should look; `hold`: nothing is appended; `refuse`: brokers take no connections either. */
export type MemoryPressure = (typeof steps)[number];

export interface MemorySteps {
  readonly memoryWarn: number;
  readonly memoryHold: number;
  readonly memoryRefuse: number;
}

const steps = ["none", "warn", "hold", "refuse"] as const;
/** A step is left this far below where it was entered, so that it does not flutter. */
const hysteresis = 0.05;

/** @param share Of the memory that may be used, what is. */
export function nextPressure(current: MemoryPressure, share: number, limits: MemorySteps): MemoryPressure {
  const entered = [0, limits.memoryWarn, limits.memoryHold, limits.memoryRefuse];
  const isIn = (step: number): boolean => {
    const isHeld = step <= steps.indexOf(current);
    return share >= (entered[step] ?? 0) - (isHeld ? hysteresis : 0);
  };
  return steps.findLast((_, step) => step === 0 || isIn(step)) ?? "none";
}

export function worstPressure(pressures: readonly MemoryPressure[]): MemoryPressure {
  return steps.findLast((step) => pressures.includes(step)) ?? "none";
}
