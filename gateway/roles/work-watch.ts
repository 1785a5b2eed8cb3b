const ticksPerLimit = 30;
/** Of calls that have not ended, so many are told. */
const toldMax = 5;

export interface WorkWatchOptions {
  readonly limitMs: number;
  /** True while the work may take longer than the limit without any step that can be seen. */
  readonly mayTakeLong: () => boolean;
  /** Called once, with the calls that have not ended, the oldest first. */
  readonly stuck: (doing: readonly string[]) => void;
}

interface Call {
  readonly name: string;
  readonly sinceTick: number;
}

/**
 * Finds out that work which is a loop of awaited calls stands although its process answers: for the limit no call has ended, and no
 * step was taken. A call to a server that is away ends as well, with a time-out. Time is counted in ticks of its own, so that a process
 * that was paused is not taken for one that is stuck.
 */
export class WorkWatch {
  readonly #options: WorkWatchOptions;
  readonly #calls = new Set<Call>();
  #timer: NodeJS.Timeout | undefined;
  #tick = 0;
  #lastStepTick = 0;
  #hasEnded = false;

  constructor(options: WorkWatchOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#timer = setInterval(() => this.#look(), this.#options.limitMs / ticksPerLimit).unref();
  }

  /** The work goes on. */
  step(): void {
    this.#lastStepTick = this.#tick;
  }

  end(): void {
    this.#hasEnded = true;
    clearInterval(this.#timer);
  }

  /** The same port; its calls are seen. */
  port<Port extends object>(name: string, port: Port): Port {
    const watched = new Map<PropertyKey, unknown>();
    return new Proxy(port, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== "function") return value;
        const known = watched.get(property);
        if (known) return known;
        const call = (...given: unknown[]): unknown =>
          this.#seen(`${name}.${String(property)}`, Reflect.apply(value, target, given));
        watched.set(property, call);
        return call;
      },
    });
  }

  #seen(name: string, result: unknown): unknown {
    if (!(result instanceof Promise)) return result;
    const call = { name, sinceTick: this.#tick };
    this.#calls.add(call);
    const ended = (): void => {
      this.#calls.delete(call);
      this.step();
    };
    result.then(ended, ended);
    return result;
  }

  #look(): void {
    if (this.#hasEnded) return;
    this.#tick += 1;
    if (this.#options.mayTakeLong()) this.step();
    if (this.#tick - this.#lastStepTick < ticksPerLimit) return;
    this.end();
    this.#options.stuck([...this.#calls].slice(0, toldMax).map((call) => this.#told(call)));
  }

  #told({ name, sinceTick }: Call): string {
    const forMs = ((this.#tick - sinceTick) * this.#options.limitMs) / ticksPerLimit;
    return `${name} for ${Math.round(forMs / 1000)} s`;
  }
}
