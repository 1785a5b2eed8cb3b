/** `warn`: the status warns; `hold`: appends are held; `refuse`: brokers also refuse connections. */
export type MemoryPressure = (typeof steps)[number];

export interface MemorySteps {
  readonly memoryWarn: number;
  readonly memoryHold: number;
  readonly memoryRefuse: number;
}

const steps = ["none", "warn", "hold", "refuse"] as const;
/** A step ends this far below the share at which it began, so that the pressure does not flutter. */
const hysteresis = 0.05;

/** @param share Used share of the memory limit. */
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
