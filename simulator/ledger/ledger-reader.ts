import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { SimulatorError } from "../errors.ts";
import { totalMessages } from "../scenario/scenario.ts";
import { Bitmap } from "./bitmap.ts";
import { frameBodyMaxBytes, frameHeadBytes, frameKind, readFrames } from "./ledger-frame.ts";
import { runFolders } from "./ledger-writer.ts";
import { eventsFile, headerFile, parseHeader, type RunHeader } from "./run-header.ts";

/** Each read takes at least one whole frame. */
const readBytes = 16 * (frameHeadBytes + frameBodyMaxBytes);

/** The runs of a ledger folder. Throws LEDGER_MISSING where there is none, LEDGER_UNREADABLE for what is no ledger. */
export function openLedger(ledgerFolder: string): RunLedger[] {
  const runs = runFolders(ledgerFolder).filter((folder) => existsSync(join(folder, headerFile)));
  if (runs.length > 0) return runs.map((folder) => new RunLedger(folder));
  throw new SimulatorError(
    "LEDGER_MISSING",
    `${ledgerFolder} holds no run's ledger: name the folder that was given to simulate --ledger (a run that never connected leaves none)`,
    { retryable: false },
  );
}

/** What the ledger of one run says, by message index. 3 bits per message. */
export class RunLedger {
  readonly header: RunHeader;
  readonly sent: Bitmap;
  readonly acked: Bitmap;
  readonly gaveUp: Bitmap;
  readonly #events: string;
  #offset = 0;
  #horizon = 0;
  #isComplete = false;

  constructor(folder: string) {
    const file = join(folder, headerFile);
    this.header = parseHeader(readFileSync(file, "utf8"), file);
    const total = totalMessages(this.header.scenario);
    this.sent = new Bitmap(total);
    this.acked = new Bitmap(total);
    this.gaveUp = new Bitmap(total);
    this.#events = join(folder, eventsFile);
    this.refresh();
  }

  /** True where the run ended in order. False while it goes on, or after a kill. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** False only where the message was certainly never published. */
  mayHaveBeenSent(index: number): boolean {
    return this.#isComplete ? this.sent.has(index) || this.acked.has(index) : index < this.#horizon;
  }

  /** When it was last written to. */
  changedAtMs(): number {
    return statSync(this.#events).mtimeMs;
  }

  /** Reads what was appended since. Throws LEDGER_DAMAGED. */
  refresh(): void {
    const file = openSync(this.#events, "r");
    try {
      const buffer = Buffer.allocUnsafe(readBytes);
      for (;;) {
        const length = readSync(file, buffer, 0, buffer.length, this.#offset);
        const taken = readFrames(buffer.subarray(0, length), this.#visitor);
        if (taken === null) throw this.#damaged();
        this.#offset += taken;
        if (taken === 0) return;
      }
    } finally {
      closeSync(file);
    }
  }

  readonly #visitor = {
    horizon: (upTo: number): void => {
      this.#horizon = Math.max(this.#horizon, upTo);
    },
    index: (kind: number, index: number): void => {
      if (kind === frameKind.sent) this.sent.add(index);
      else if (kind === frameKind.acked) this.acked.add(index);
      else this.gaveUp.add(index);
    },
    end: (): void => {
      this.#isComplete = true;
    },
  };

  #damaged(): SimulatorError {
    return new SimulatorError(
      "LEDGER_DAMAGED",
      `${this.#events} is damaged at or after byte ${this.#offset}: what it says cannot be trusted, run the simulation again with a new --ledger`,
      { retryable: false },
    );
  }
}
