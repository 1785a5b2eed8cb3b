const ticksPerLimit = 30;
/** Open calls that are reported. */
const toldMax = 5;

export interface WorkWatchOptions {
  readonly limitMs: number;
  /** True while the work may take longer than the limit without a visible step. */
  readonly mayTakeLong: () => boolean;
  /** Called once with the open calls, oldest first. */
  readonly stuck: (doing: readonly string[]) => void;
}

interface Call {
  readonly name: string;
  readonly sinceTick: number;
}

/**
 * Detects that a loop of awaited calls is stuck although its process answers: for the limit, no call has
 * ended and no step was taken. A call to an unreachable server ends as well, by its time-out. Counts its own
 * ticks, not time, so that a paused process does not count as stuck.
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

  /** The work has made a step. */
  step(): void {
    this.#lastStepTick = this.#tick;
  }

  end(): void {
    this.#hasEnded = true;
    clearInterval(this.#timer);
  }

  /** Returns the port with its calls watched. */
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
    if (isAsyncIterable(result)) return this.#walked(name, result);
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

  /** Each item is a step: a long listing is no single call. */
  async *#walked(name: string, items: AsyncIterable<unknown>): AsyncGenerator<unknown> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = (await this.#seen(name, iterator.next())) as IteratorResult<unknown>;
        if (done) return;
        yield value;
      }
    } finally {
      await iterator.return?.();
    }
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

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
