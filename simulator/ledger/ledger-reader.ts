import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { SimulatorError } from "../errors.ts";
import { totalMessages } from "../scenario/scenario.ts";
import { Bitmap } from "./bitmap.ts";
import {
  type FrameVisitor,
  frameBodyMaxBytes,
  frameHeadBytes,
  type IndexListName,
  indexListNames,
  readFrames,
} from "./ledger-frame.ts";
import { runFolders } from "./ledger-writer.ts";
import { eventsFile, headerFile, parseHeader, type RunHeader } from "./run-header.ts";

/** Each read takes at least one whole frame. */
const readBytes = 16 * (frameHeadBytes + frameBodyMaxBytes);

/**
 * The runs of a ledger folder. Throws LEDGER_MISSING if there is none, LEDGER_UNREADABLE for files that are
 * not a ledger.
 */
export function openLedger(ledgerFolder: string): RunLedger[] {
  const runs = runFolders(ledgerFolder).filter((folder) => existsSync(join(folder, headerFile)));
  if (runs.length > 0) return runs.map((folder) => new RunLedger(folder));
  throw new SimulatorError(
    "LEDGER_MISSING",
    `${ledgerFolder} holds no run's ledger: name the folder that was given to simulate --ledger (a run that never connected leaves none)`,
    { retryable: false },
  );
}

/** The events of messages in their order; see `ledger-frame.ts`. */
export type LedgerVisitor = Pick<FrameVisitor, "index" | "time">;

/** The ledger of one run, by message index. 5 bits per message. */
export class RunLedger {
  readonly header: RunHeader;
  readonly sent: Bitmap;
  readonly acked: Bitmap;
  readonly gaveUp: Bitmap;
  readonly delivered: Bitmap;
  readonly again: Bitmap;
  readonly #lists: Readonly<Record<IndexListName, Bitmap>>;
  readonly #events: string;
  #offset = 0;
  #horizon = 0;
  #isComplete = false;

  constructor(folder: string) {
    const file = join(folder, headerFile);
    this.header = parseHeader(readFileSync(file, "utf8"), file);
    const total = totalMessages(this.header.scenario);
    const lists = indexListNames.map((name) => [name, new Bitmap(total)] as const);
    this.#lists = Object.fromEntries(lists) as Record<IndexListName, Bitmap>;
    this.sent = this.#lists.sent;
    this.acked = this.#lists.acked;
    this.gaveUp = this.#lists.gaveUp;
    this.delivered = this.#lists.delivered;
    this.again = this.#lists.again;
    this.#events = join(folder, eventsFile);
    this.refresh();
  }

  /** True if the run ended in order. False while it runs, or after a kill. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** No message from this index on was published. */
  get horizon(): number {
    return this.#horizon;
  }

  /** False only if the message was certainly never published. */
  mayHaveBeenSent(index: number): boolean {
    return this.#isComplete ? this.sent.has(index) || this.acked.has(index) : index < this.#horizon;
  }

  /** When it was last written to. */
  changedAtMs(): number {
    return statSync(this.#events).mtimeMs;
  }

  /** Reads what was appended since. Throws LEDGER_DAMAGED. */
  refresh(): void {
    this.#offset = this.#read(this.#offset, this.#visitor);
  }

  /**
   * Reads everything that `refresh` has read again, from the beginning. Lists between two times happened
   * between them, in any order.
   */
  replay(visitor: LedgerVisitor): void {
    this.#read(0, { ...visitor, horizon: () => {}, end: () => {} });
  }

  /** Returns the bytes that were read. */
  #read(start: number, visitor: FrameVisitor): number {
    const file = openSync(this.#events, "r");
    try {
      const buffer = Buffer.allocUnsafe(readBytes);
      for (let offset = start; ; ) {
        const length = readSync(file, buffer, 0, buffer.length, offset);
        const taken = readFrames(buffer.subarray(0, length), visitor);
        if (taken === null) throw this.#damaged(offset);
        offset += taken;
        if (taken === 0) return offset;
      }
    } finally {
      closeSync(file);
    }
  }

  readonly #visitor = {
    horizon: (upTo: number): void => {
      this.#horizon = Math.max(this.#horizon, upTo);
    },
    index: (name: IndexListName, index: number): void => {
      this.#lists[name].add(index);
    },
    time: (): void => {},
    end: (): void => {
      this.#isComplete = true;
    },
  };

  #damaged(offset: number): SimulatorError {
    return new SimulatorError(
      "LEDGER_DAMAGED",
      `${this.#events} is damaged at or after byte ${offset} and cannot be trusted: run the simulation again with a new --ledger`,
      { retryable: false },
    );
  }
}
