import { SingleBar } from "cli-progress";

/** A bar on stderr while a job runs; none if stderr is no terminal. */
export class ProgressBar {
  readonly #bar: SingleBar;
  #isStarted = false;

  /** @param format `{bar}`, `{value}`, `{total}`, and the names that `show` receives. */
  constructor(format: string) {
    this.#bar = new SingleBar({ format, clearOnComplete: true });
  }

  show(done: number, total: number, texts: Readonly<Record<string, string>>): void {
    if (!process.stderr.isTTY) return;
    if (!this.#isStarted) this.#bar.start(total, done, texts);
    this.#isStarted = true;
    this.#bar.setTotal(total);
    this.#bar.update(done, texts);
  }

  /** Writes lines above the bar. */
  above(write: () => void): void {
    // The next update draws the bar's line again.
    if (this.#isStarted) process.stderr.write("\r\u001b[K");
    write();
  }

  stop(): void {
    if (this.#isStarted) this.#bar.stop();
  }
}
