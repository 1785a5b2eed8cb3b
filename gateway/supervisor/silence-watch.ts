const ticksPerSilence = 30;
/** Loading the program on a machine under load takes longer than any silence of one that works. */
const firstFactor = 4;

/**
 * Tells when another process was silent for too long. It counts its own ticks rather than time: if both processes stood still (the
 * machine slept, or this process was paused), one tick has passed.
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

  /** For how long nothing was heard, ms. */
  get silentForMs(): number {
    return (this.#ticks * this.#silenceMs) / ticksPerSilence;
  }

  /** Of a process that has just begun: nothing was heard of it yet. */
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
