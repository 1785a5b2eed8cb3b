const ticksPerSilence = 30;
/** Loading the program on a busy machine takes longer than any silence of a working process. */
const firstFactor = 4;

/**
 * Reports that another process was silent for too long. Counts its own ticks, not time: if both processes
 * were paused (the machine slept, or this process was stopped), one tick has passed.
 */
export class SilenceWatch {
  readonly #silenceMs: number;
  readonly #silent: () => void;
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #wasHeard = false;

  /** @param silent Called once for each silence. */
  constructor(silenceMs: number, silent: () => void) {
    this.#silenceMs = silenceMs;
    this.#silent = silent;
  }

  /** Time since the last message, ms. */
  get silentForMs(): number {
    return (this.#ticks * this.#silenceMs) / ticksPerSilence;
  }

  /** Starts the watch for a new process, which has not sent a message yet. */
  begin(): void {
    this.end();
    this.#wasHeard = false;
    this.#timer = setInterval(() => this.#tick(), this.#silenceMs / ticksPerSilence).unref();
  }

  heard(): void {
    this.#ticks = 0;
    this.#wasHeard = true;
  }

  end(): void {
    clearInterval(this.#timer);
    this.#ticks = 0;
  }

  #tick(): void {
    this.#ticks += 1;
    if (this.#ticks === ticksPerSilence * (this.#wasHeard ? 1 : firstFactor)) this.#silent();
  }
}
